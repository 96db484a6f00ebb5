"""How one dead letter is shown to a person: provenance, headers and parameters, redacted. Reading it is dlq.py's."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from muster.cli.dlq_options import instant_text, plain
from muster.cli.output import out, print_json
from muster.client.letters import Letter
from muster.contracts.dead_letter import original_headers
from muster.contracts.errors import UNREADABLE
from muster.observability.redaction import redact, redact_text

TEXT_LIMIT = 500


def show_letter(letter: Letter, count: int, *, json: bool) -> None:
    """Print the letter; `count` is how many the task has left in all."""
    facts = _facts(letter, count)
    headers = _headers(letter)
    body = _body(letter.record.value)
    if json:
        why = redact(msgspec.to_builtins(letter.why), limit=6000)
        print_json({"letters": count, "provenance": why, "headers": headers, "body": body})
        return
    out.print(_grid(facts))
    out.print(Text("\nheaders", style="bold"))
    out.print(_grid(headers))
    size = len(letter.record.value or b"")
    out.print(Text(f"\nparameters ({size:,} bytes; personal data and long texts are left out)", style="bold"))
    shown = body if isinstance(body, str) else msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
    for line in shown.splitlines():
        out.print(Text(plain(line)))
    if letter.why.traceback:
        out.print(Text("\ntraceback", style="bold"))
        for line in redact_text(letter.why.traceback, limit=6000).splitlines():
            out.print(Text(plain(line)))


def _facts(letter: Letter, count: int) -> dict[str, str]:
    why, record = letter.why, letter.record
    failure = why.failure
    facts = {
        "task": why.task_id,
        "type": why.task_type,
        "kind": failure.kind,
        "error": f"{failure.error}: {redact_text(failure.message)}",
        "problems": "; ".join(f"{problem.field}: {problem.message}" for problem in failure.problems),
        "fingerprint": letter.fingerprint,
        "failed": f"{instant_text(why.failed_at)} UTC, attempt {why.attempt}, delivery {why.delivery}",
        "first failed": f"{instant_text(why.first_failed_at)} UTC" if why.first_failed_at else "",
        "round": f"{why.redrive + 1}" + (f" ({count} letters)" if count > 1 else ""),
        "worker": failure.worker,
        "record": f"{why.topic}, partition {why.partition}, offset {why.offset}",
        "dead letter": f"{record.topic}, partition {record.partition}, offset {record.offset}",
        "trace": why.traceparent or "",
    }
    return {name: value for name, value in facts.items() if value}


def _headers(letter: Letter) -> dict[str, str]:
    return {
        name: redact_text(value.decode(errors="backslashreplace"), limit=TEXT_LIMIT)
        for name, value in original_headers(letter.record.headers)
    }


def _body(value: bytes | None) -> Any:
    """Redacted parameters; what is no JSON is shown as the text it is."""
    if value is None:
        return None
    try:
        return redact(msgspec.json.decode(value), limit=TEXT_LIMIT)
    except UNREADABLE:
        return redact_text(value[: 4 * TEXT_LIMIT].decode(errors="backslashreplace"), limit=TEXT_LIMIT)


def _grid(facts: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(plain(name, 60)), Text(plain(value)))
    return table
