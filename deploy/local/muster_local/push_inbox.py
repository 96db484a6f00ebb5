"""The browsers of the local push service and what arrived for them. Browsers are kept on disk, messages in memory."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from muster_local.push_crypto import BrowserKeys

# Below the order of the curve, and enough for keys that live on one machine.
_PRIVATE_BITS = 255
_AUTH_BYTES = 16
MOST_MESSAGES = 50_000


@dataclass(frozen=True)
class Answer:
    """How pushes to one browser are answered instead of being taken."""

    status: int
    #: Seconds, as the header of that name; None: no such header.
    retry_after: int | None = None
    #: How many times; None: for ever.
    times: int | None = None


@dataclass(frozen=True)
class Message:
    """One push that arrived, decrypted."""

    number: int
    browser: str
    received_at: str
    #: The payload: parsed where it is JSON, else as text.
    payload: Any
    ttl: int
    topic: str | None
    urgency: str | None
    #: Claims of the sender's proof.
    vapid: dict[str, Any]


@dataclass
class Browser:
    """One subscription: its own keys, and the sender's key it was made for."""

    id: str
    keys: BrowserKeys
    #: applicationServerKey, base64url; empty: any sender's.
    sender: str = ""
    answer: Answer | None = None
    messages: int = 0

    def next_answer(self) -> Answer | None:
        """The answer to be given instead of taking the push, counted."""
        answer = self.answer
        if answer is not None and answer.times is not None:
            left = answer.times - 1
            self.answer = Answer(answer.status, answer.retry_after, left) if left > 0 else None
        return answer


@dataclass
class Inbox:
    """Everything of one push service."""

    file: Path
    browsers: dict[str, Browser] = field(default_factory=dict)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=MOST_MESSAGES))
    #: How often each status was answered.
    answered: dict[int, int] = field(default_factory=dict)
    received: int = 0

    @classmethod
    def load(cls, folder: Path) -> Inbox:
        """The browsers that were handed out before."""
        folder.mkdir(parents=True, exist_ok=True)
        inbox = cls(folder / "browsers.jsonl")
        if inbox.file.exists():
            for line in inbox.file.read_text(encoding="utf-8").splitlines():
                known = json.loads(line)
                keys = BrowserKeys(int(known["private"], 16), bytes.fromhex(known["auth"]))
                inbox.browsers[known["id"]] = Browser(known["id"], keys, known["sender"])
        return inbox

    def add(self, count: int, sender: str) -> list[Browser]:
        """New browsers, each with keys of its own."""
        added = [Browser(secrets.token_urlsafe(24), _new_keys(), sender) for _ in range(count)]
        with self.file.open("a", encoding="utf-8") as target:
            target.writelines(_line(browser) for browser in added)
        self.browsers.update((browser.id, browser) for browser in added)
        return added

    def keep(self, message: Message) -> None:
        self.messages.append(message)
        self.received += 1
        self.browsers[message.browser].messages += 1

    def count(self, status: int) -> None:
        self.answered[status] = self.answered.get(status, 0) + 1

    def told(self, browser: str | None = None, after: int = 0) -> Iterator[dict[str, Any]]:
        """Messages as JSON, of one browser or of all, those after a number."""
        for message in self.messages:
            if message.number > after and browser in (None, message.browser):
                yield asdict(message)


def _new_keys() -> BrowserKeys:
    return BrowserKeys(1 + secrets.randbits(_PRIVATE_BITS), secrets.token_bytes(_AUTH_BYTES))


def _line(browser: Browser) -> str:
    keys = {"private": f"{browser.keys.private:x}", "auth": browser.keys.auth.hex()}
    return json.dumps({"id": browser.id, **keys, "sender": browser.sender}) + "\n"
