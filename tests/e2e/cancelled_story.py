"""A task that runs is taken back: how long until it is REVOKED, and until nothing of its worker works on it any more.

Told by test_revocation.py once for the long tasks of people, and by cancelled.py for every kind, as often as asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
import psutil
from ocr_service.testing.files import scanned
from ocr_service.testing.letters import TEXTS, draw

from .api import ADMIN, Api, Body, wait_until
from .held_host import HeldHost, held_host
from .program import Program
from .system import System

#: As the contract says: seconds from the order to the end.
PROMISED_SECONDS = 2.0
#: Nobody waits for the end of what is taken back.
_FOR_EVER = {"seconds": 300}
_LETTERS, _PAGES, _ROWS = 100, 50, 50_000
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Cancelled:
    """One task that was taken back, in seconds from the order to its worker's API."""

    kind: str
    state: str
    #: Until the status said REVOKED.
    revoked_seconds: float
    #: Until no child of the worker was at work.
    child_seconds: float

    @property
    def kept(self) -> bool:
        return self.state == "REVOKED" and max(self.revoked_seconds, self.child_seconds) <= PROMISED_SECONDS


@dataclass
class Scene:
    """What tasks of every kind find; its worker is the one of the kind that is told."""

    system: System
    api: Api
    worker: Program
    hosts: ExitStack = field(default_factory=ExitStack)
    host: HeldHost | None = None


@dataclass(frozen=True)
class Kind:
    """A way to be busy: whose worker, with what parameters, and when it is in the middle of it."""

    name: str
    task_type: str
    worker: Callable[[System], Program]
    parameters: Callable[[Scene], Body]
    in_the_middle: Callable[[Scene, str], bool]
    #: The file of an upload, with the parameters as the fields of its form; None: a task with parameters.
    file: Callable[[], bytes] | None = None

    def submit(self, scene: Scene) -> str:
        """The id of a new task."""
        if self.file is None:
            return scene.api.submit(self.task_type, self.parameters(scene))
        files = {"file": ("file", self.file())}
        answer = scene.api.client.post("/import/csv", files=files, data=self.parameters(scene))
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["task_id"])


def tell(scene: Scene, kind: Kind) -> Cancelled:
    """Start a task of this kind, take it back in the middle, and look at the clock."""
    task_id = kind.submit(scene)
    wait_until(lambda: kind.in_the_middle(scene, task_id), f"{kind.name} is in the middle of its work", 120)
    began = time.monotonic()
    answer = scene.api.revoke(task_id, terminate=True)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    revoked = rested = None
    while revoked is None or rested is None:
        if rested is None and not works(scene.worker):
            rested = time.monotonic() - began
        if revoked is None and scene.api.status(task_id).get("ready"):
            revoked = time.monotonic() - began
        assert time.monotonic() - began < 120, f"{kind.name}: REVOKED {revoked}, at rest {rested}"
        time.sleep(_LOOK_SECONDS)
    return Cancelled(kind.name, scene.api.state(task_id) or "", round(revoked, 3), round(rested, 3))


@contextmanager
def on_stage(system: System, api: Api, kind: Kind) -> Iterator[Scene]:
    """A scene with the kind's worker, which is stopped afterwards."""
    worker = kind.worker(system).start()
    with ExitStack() as hosts:
        try:
            api.knows(kind.task_type)
            yield Scene(system, api, worker, hosts)
        finally:
            worker.stop()


def works(worker: Program) -> bool:
    """Whether a child of the worker computes or waits for a child of its own, as that of a reading for Tesseract.

    A child that sleeps twice in a row waits for its next task.
    """
    if not _busy(worker):
        time.sleep(_LOOK_SECONDS)
        return _busy(worker)
    return True


def _busy(worker: Program) -> bool:
    process = worker.identity.process() if worker.identity else None
    assert process is not None, "the worker has ended"
    return any(_is_busy(child) for child in process.children())


def _is_busy(child: psutil.Process) -> bool:
    try:
        resting = child.status() in (psutil.STATUS_SLEEPING, psutil.STATUS_ZOMBIE)
        return not resting or any(one.status() != psutil.STATUS_ZOMBIE for one in child.children())
    except psutil.NoSuchProcess:
        return False


def _practice(system: System) -> Program:
    return system.practice(MUSTER_SLOTS="4")


def _has_begun(scene: Scene, task_id: str) -> bool:
    return "began" in scene.system.ledger.notes_of(task_id) and scene.api.state(task_id) == "STARTED"


def _grinds(scene: Scene, task_id: str) -> bool:
    return _has_begun(scene, task_id) and works(scene.worker)


def _has_made_some(scene: Scene, task_id: str) -> bool:
    return bool(scene.api.status(task_id).get("progress", {}).get("done")) and works(scene.worker)


def _is_visited(scene: Scene, task_id: str) -> bool:
    return scene.host is not None and scene.host.visits > 0 and scene.api.state(task_id) == "STARTED"


def _certificates(scene: Scene) -> Body:
    activity = scene.system.query("SELECT min(id) FROM activities")
    # Chinese fonts are large: each certificate takes half a second.
    return {
        "activity_id": activity, "user_id": ADMIN, "cadet_names": [f"李 明 {number}" for number in range(_LETTERS)],
    }  # fmt: skip


def _scan(scene: Scene) -> Body:
    page = draw(TEXTS[0], 20).convert("1")
    host = scene.hosts.enter_context(held_host(scanned([page] * _PAGES)))
    host.release.set()
    return {"file_url": host.url}


def _table() -> bytes:
    rows = (f"{20_000_000 + number},Given {number},Family {number}" for number in range(_ROWS))
    return "\n".join(["student_id,first_name,last_name", *rows]).encode()


def _has_checked_some(scene: Scene, task_id: str) -> bool:
    return bool(scene.api.status(task_id).get("progress", {}).get("done"))


def _never_served(scene: Scene) -> Body:
    scene.host = scene.hosts.enter_context(held_host(b""))
    return {"file_url": scene.host.url}


REPORT = Kind(
    "batch report", "batch_generate_certificates", lambda system: system.reports(), _certificates, _has_made_some
)
READING = Kind(
    "scan of 50 pages", "process_ocr_document", lambda system: system.ocr(OCR_CACHE_DAYS="0"), _scan, _has_made_some
)
KINDS = (
    Kind("waiting", "nap", _practice, lambda scene: dict(_FOR_EVER), _has_begun),
    Kind("computing", "grind", _practice, lambda scene: dict(_FOR_EVER), _grinds),
    Kind("download", "process_ocr_document", lambda system: system.ocr(), _never_served, _is_visited),
    REPORT,
    READING,
    Kind("import", "import_csv", lambda system: system.importer(), lambda scene: {}, _has_checked_some, _table),
)
