"""An installation with signing keys: its own tasks run whatever happens to them, nobody else's do, and keys change."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from muster.contracts.dead_letter import nameless_id
from muster.contracts.signature import SIGNATURE, Signatures, Signed
from muster.contracts.topics import Topics

from .api import Api, wait_until
from .foreign import ForeignClient
from .program import Program
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
DOCUMENT = (Path(__file__).parents[2] / "docs/foreign-producers.md").read_text()


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    # The first step of a change of keys has been taken: everybody accepts the new one.
    return {"MUSTER_SIGNING_KEYS": f"k1:{OLD},k2:{NEW}"}


@pytest.fixture(scope="module", autouse=True)
def worker(system: System) -> Iterator[Program]:
    program = system.practice(MUSTER_SLOTS="8", MUSTER_GRACE_SECONDS="0.2").start()
    with closing(Api(system)) as api:
        api.knows("nap")
    yield program
    program.stop()


@pytest.fixture
def lane(system: System) -> str:
    return system.topics.lane("notify")


def test_a_task_is_signed_anew_on_every_way_it_takes(system: System, api: Api, worker: Program) -> None:
    """Through the API, over a due time, after a failure, back from a drain, and after its worker's death."""
    stumbled = api.submit("stumble", {"times": 1}, countdown=2)
    submitted = [stumbled, *(api.submit("nap", {"seconds": 3}) for _ in range(8))]

    def all_ran() -> bool:
        return set(api.states(submitted)) == {"SUCCESS"}

    def run_again() -> bool:
        return any(note.delivery == 2 for note in system.ledger.runs())

    wait_until(lambda: len(system.ledger.runs()) >= 8, "all slots are full")
    worker.drain()
    worker.start()
    # A machine that stood still for seconds has nothing left to hand back.
    wait_until(lambda: run_again() or all_ran(), "what was handed back runs again")
    worker.kill()
    worker.start()

    wait_until(all_ran, "all tasks are SUCCESS", 60)
    assert api.status(stumbled)["attempt"] == 2


@pytest.mark.parametrize("headers", [{}, {SIGNATURE: f"v1:k1:{'0' * 64}"}], ids=["unsigned", "forged"])
def test_what_nobody_vouches_for_ends_as_unauthenticated_and_does_not_run(
    system: System, api: Api, foreign: ForeignClient, lane: str, headers: dict[str, str]
) -> None:
    task_id, value = uuid.uuid4().hex, b'{"seconds": 0}'
    place = foreign.write(lane, value, {"ce_id": task_id, "ce_type": "nap", **headers})

    failed = api.ended(nameless_id(lane, *place))

    assert (failed["status"], failed["error"]["kind"]) == ("FAILURE", "unauthenticated")
    assert f"it says that it is task {task_id}" in failed["error"]["message"]
    assert foreign.read(*api.details(failed["task_id"])["dead_letter"]) == value
    assert api.status(task_id) == {}, "nothing is known of the id it claims"
    assert system.ledger.notes_of(task_id) == []


def test_a_dead_letter_that_nobody_vouched_for_is_redriven_only_by_who_vouches(
    system: System, api: Api, foreign: ForeignClient, lane: str
) -> None:
    place = foreign.write(lane, b'{"seconds": 0}', {"ce_id": "mine", "ce_type": "nap"})
    task_id = api.ended(nameless_id(lane, *place))["task_id"]

    refused = api.client.post("/dead-letters/redrive", json={"ids": [task_id]}).json()
    by_command = muster(system, "dlq", "redrive", task_id, "--yes")
    vouched = muster(system, "dlq", "redrive", task_id, "--yes", "--vouch")

    assert (refused["redriven"], refused["refused"]) == (0, 1)
    assert "nobody vouched for its record" in refused["problems"][0]["reason"]
    assert by_command.returncode == 2, by_command.stderr
    assert vouched.returncode == 0, vouched.stderr
    wait_until(lambda: api.state(task_id) == "SUCCESS", "the redriven task is SUCCESS")


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_examples_for_foreign_producers_sign_so_that_it_is_run(
    system: System, api: Api, lane: str, language: str
) -> None:
    """As they stand in docs/foreign-producers.md, but for the task."""
    if language == "sh" and not all(map(shutil.which, ("kcat", "openssl", "bash"))):
        pytest.skip("kcat, openssl or bash is not installed")
    example = code_of(f"```{language}\n")
    for theirs, ours in (
        ("delete_cloudinary_image", "nap"), ('{"public_id": "rotc/profile_pic/profile_pic_7"}', '{"seconds": 0}'),
        ('{"public_id": "rotc/profile_pic/profile_pic_9"}', '{"seconds": 0}'), ("$(uuidgen)", uuid.uuid4().hex),
    ):  # fmt: skip
        example = example.replace(theirs, ours)
    done_before = api.counts("nap")["SUCCESS"]

    names = {"TOPIC": lane, "KEY_ID": "k1", "KEY": OLD, "KAFKA_BOOTSTRAP_SERVERS": system.kafka}
    command = ["bash", "-euc", example] if language == "sh" else [sys.executable, "-c", example]
    run(command, {"PATH": os.environ["PATH"], **names})

    wait_until(lambda: api.counts("nap")["SUCCESS"] == done_before + 1, "the task is SUCCESS")


def test_the_worked_example_is_right() -> None:
    [text] = re.findall(r"```\n(14:muster-task-v1.*)\n```", DOCUMENT)
    signatures = Signatures(Topics("unit."), {"k1": bytes(range(32))})
    headers = [("ce_id", b"a1"), ("ce_type", b"noop")]

    signed = signatures.sign(Signed("unit.tasks.media.default", None, b'{"n": 1}', headers))

    assert f"sign these {len(text)} bytes" in DOCUMENT
    assert f"`{dict(signed)[SIGNATURE].decode()}`" in DOCUMENT


def test_keys_change_while_tasks_run(system: System, api: Api, worker: Program) -> None:
    """One program after another learns them, and at no time is a task of the installation refused."""
    submitted: list[str] = []

    def all_ran() -> bool:
        return set(api.states(submitted)) == {"SUCCESS"}

    for keys in (f"k2:{NEW},k1:{OLD}", f"k2:{NEW}"):
        for program in (worker, system.scheduler, system.tracker):
            # Some of them wait for their due time across the change.
            submitted += [api.submit("nap", {"seconds": 0.1}, countdown=number) for number in (0, 0, 1, 3)]
            program.change(MUSTER_SIGNING_KEYS=keys)
            assert program.drain() == 0
            program.start()
        # What the first of the old keys has signed is moved or run before the key goes.
        wait_until(all_ran, "all tasks are SUCCESS", 60)

    failures = api.client.get("/dead-letters", params={"kind": "unauthenticated", "limit": 200}).json()["dead_letters"]
    assert not {failed["task_id"] for failed in failures} & set(submitted)
    for program in system.programs:
        assert OLD not in program.part.log.read_text()
        assert NEW not in program.part.log.read_text()


def code_of(fence: str) -> str:
    """The one block of the chapter on signatures that begins with this fence."""
    chapter = DOCUMENT.partition("## Signed records")[2]
    return chapter.partition(fence)[2].partition("```")[0]


def muster(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**system.tracker.part.env}
    environment.pop("MUSTER_API_URL", None)
    return run([sys.executable, "-m", "muster.cli", *arguments], environment, check=False)


def run(command: list[str], environment: dict[str, Any], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done
