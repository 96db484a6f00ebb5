"""Files and functions stay small, say where they end, and swallow nothing. Style beyond that is ruff's."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SOURCE_LINES, TEST_LINES, FUNCTION_LINES = 300, 400, 40


def _python_files() -> list[Path]:
    """What git knows or would add: never the environment, caches or state of a run."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]  # as CI sees it
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


FILES = {str(path.relative_to(ROOT)): path for path in _python_files()}


def _is_test(name: str) -> bool:
    return "/tests/" in f"/{name}" or name.endswith("conftest.py")


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_its_budget_and_opens_with_its_boundary(name: str) -> None:
    text = FILES[name].read_text()
    tree = ast.parse(text)

    assert _too_long(name, text, tree) == []
    assert _left_open(name, text) == []
    assert _swallowed(name, tree) == []
    if text.strip():
        assert ast.get_docstring(tree), f"{name} does not say what lives in it"


def _too_long(name: str, text: str, tree: ast.Module) -> list[str]:
    budget = TEST_LINES if _is_test(name) else SOURCE_LINES
    lines = len(text.splitlines())
    found = [f"{name} has {lines} lines, {budget} are allowed"] if lines > budget else []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name}:{node.lineno} {node.name} has {length} lines, {FUNCTION_LINES} are allowed")
    return found


def _left_open(name: str, text: str) -> list[str]:
    """Comments that promise work instead of a reason."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT and UNFINISHED.search(token.string)]
    return [f"{name}:{comment.start[0]} {comment.string}" for comment in comments]


def _swallowed(name: str, tree: ast.Module) -> list[str]:
    """`except: pass` hides what went wrong; contextlib.suppress names what may."""
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return [f"{name}:{node.lineno} except: pass" for node in handlers if _says_nothing(node.body)]


def _says_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


@pytest.mark.parametrize(
    ("code", "swallows"),
    [
        ("try:\n  f()\nexcept E:\n  pass", True),
        ("try:\n  f()\nexcept E:\n  ...", True),
        ("try:\n  f()\nexcept E:\n  log()", False),
    ],
)
def test_the_check_for_swallowed_errors_has_teeth(code: str, swallows: bool) -> None:
    assert bool(_swallowed("x", ast.parse(code))) is swallows
