"""Whether a mail is one by the RFCs, judged by bytes and by Python's strict parser. Sends nothing."""

from __future__ import annotations

import email
import re
from email.errors import MessageDefect
from email.message import EmailMessage
from email.policy import strict

#: RFC 5322 2.1.1: must not and should not be longer; only a link, which cannot be folded, is longer than the second.
LONGEST_LINE, LONG_LINE = 998, 78
REQUIRED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted")
_ONCE = (*REQUIRED, "List-Unsubscribe", "List-Unsubscribe-Post")
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")


def complaints(data: bytes, recipient: str) -> list[str]:
    """What is wrong with the bytes that the server got for this recipient; empty when nothing is."""
    try:
        message = email.message_from_bytes(data, policy=strict)
        headers = [(name, str(value)) for name, value in message.items()]
    except MessageDefect as defect:
        return [f"the strict parser says {type(defect).__name__}"]
    if not isinstance(message, EmailMessage):
        return ["the parser made no mail of it"]
    return [*_of_bytes(data), *_of_headers(headers, recipient), *_of_parts(message)]


def _of_bytes(data: bytes) -> list[str]:
    found = []
    lines = data.split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in lines):
        found.append("a line does not end with CRLF")
    if max(map(len, lines)) > LONGEST_LINE:
        found.append(f"a line is longer than {LONGEST_LINE}")
    if any(len(line) > LONG_LINE and not line.startswith(b"List-Unsubscribe: <") for line in lines):
        found.append(f"a line that could be folded is longer than {LONG_LINE}")
    if not data.isascii() or b"\0" in data:
        found.append("it is not 7 bit")
    return found


def _of_headers(headers: list[tuple[str, str]], recipient: str) -> list[str]:
    names = [name for name, _ in headers]
    values = dict(headers)
    found = [f"{name} is missing" for name in REQUIRED if name not in names]
    found += [f"{name} is there {names.count(name)} times" for name in _ONCE if names.count(name) > 1]
    if values.get("To") != recipient:
        found.append("To is not the recipient alone")
    if not _MESSAGE_ID.fullmatch(values.get("Message-ID", "")):
        found.append("the Message-ID is none")
    if ("List-Unsubscribe" in values) != ("List-Unsubscribe-Post" in values):
        found.append("List-Unsubscribe without one click (RFC 8058)")
    return found


def _of_parts(message: EmailMessage) -> list[str]:
    parts = [part for part in message.walk() if not part.is_multipart()]
    found = []
    if [part.get_content_type() for part in parts] != ["text/plain", "text/html"]:
        found.append("it is not text with an HTML alternative, in this order")
    if any(part["Content-Transfer-Encoding"] not in ("quoted-printable", "7bit", "base64") for part in parts):
        found.append("a part is encoded in a way that not every server takes")
    if any(part.defects for part in message.walk()):
        found.append("a part has a defect")
    return found
