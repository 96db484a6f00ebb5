"""The store of payloads in a folder and in a bucket of a real S3 server: the same promises of both."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from muster.adapters.claim_store import ClaimStore, open_claim_check
from muster.contracts.claim_check import Key
from muster.contracts.errors import PayloadUnavailable
from muster.settings import ClaimCheckSettings
from muster_local.ports import LOOPBACK, free_port
from pydantic import ValidationError

DATA = bytes(range(256)) * 5000
TODAY = date(2026, 11, 23)
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A process that speaks S3 over HTTP, with a bucket `unit`."""
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(port)]
    environment = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as server:  # noqa: S603
        try:
            _make_bucket(f"{url}/unit", server)
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _make_bucket(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    with httpx.Client(trust_env=False) as client:
        while True:
            assert server.poll() is None, "the S3 server ended"
            try:
                client.put(url).raise_for_status()
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the S3 server does not answer"
                time.sleep(0.1)


@pytest.fixture(params=["folder", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ClaimCheckSettings:
    if request.param == "folder":
        return ClaimCheckSettings(url=f"file://{tmp_path}/payloads")
    return ClaimCheckSettings(
        url=f"s3://unit/{tmp_path.name}/payloads", endpoint_url=request.getfixturevalue("s3_server"),
        access_key_id="any", secret_access_key="any",
    )  # fmt: skip


@pytest.fixture
def store(settings: ClaimCheckSettings) -> ClaimStore:
    return ClaimStore(settings)


def key(task_id: str = "task-1", day: int = 1, data: bytes = DATA) -> Key:
    return Key(date(2026, 11, day), task_id, sha256(data).hexdigest())


async def test_what_was_put_is_had_back_also_by_another_process(
    store: ClaimStore, settings: ClaimCheckSettings
) -> None:
    await store.put(key(), DATA)

    assert await ClaimStore(settings).get(key(), max_bytes=len(DATA)) == DATA


async def test_no_more_is_read_than_was_asked_for(store: ClaimStore) -> None:
    await store.put(key(), DATA)

    assert await store.get(key(), max_bytes=10) == DATA[:10]


async def test_putting_the_same_again_changes_nothing(store: ClaimStore) -> None:
    await asyncio.gather(*[store.put(key(), DATA) for _ in range(8)])

    assert await store.get(key(), max_bytes=len(DATA)) == DATA
    assert await store.keys(before=TODAY) == [key()]


async def test_what_is_not_there_is_said_in_a_sentence(store: ClaimStore) -> None:
    with pytest.raises(PayloadUnavailable, match="is not in the store"):
        await store.get(key("nobody"), max_bytes=1)


async def test_a_store_that_nobody_has_used_is_empty(store: ClaimStore) -> None:
    assert await store.keys(before=TODAY) == []


async def test_only_keys_of_earlier_days_are_listed(store: ClaimStore) -> None:
    earlier = [key("a", 21), key("a", 22), key("b", 22), key("b", 22, b"other")]
    for one in (*earlier, key("c", 23), key("d", 24)):
        await store.put(one, DATA)

    assert sorted(await store.keys(before=TODAY), key=str) == sorted(earlier, key=str)


async def test_what_was_removed_is_gone_and_the_rest_is_there(store: ClaimStore) -> None:
    for one in (key("a"), key("b"), key("b", 2)):
        await store.put(one, DATA)

    await store.remove([key("a"), key("b")])
    await store.remove([key("a")])

    assert await store.keys(before=TODAY) == [key("b", 2)]


async def test_another_store_sees_nothing_of_it(store: ClaimStore, settings: ClaimCheckSettings) -> None:
    await store.put(key(), DATA)
    other = ClaimStore(settings.model_copy(update={"url": f"{settings.url}-of-others"}))

    with pytest.raises(PayloadUnavailable):
        await other.get(key(), max_bytes=1)


async def test_a_folder_keeps_no_half_written_and_no_empty_ones(tmp_path: Path) -> None:
    store = ClaimStore(ClaimCheckSettings(url=f"file://{tmp_path}/payloads"))
    await store.put(key(), DATA)
    await store.remove([key()])

    assert [path for path in (tmp_path / "payloads").rglob("*") if path.name != ".parts"] == []


async def test_a_server_that_is_away_is_not_a_payload_that_is_gone() -> None:
    settings = ClaimCheckSettings(
        url="s3://unit/x", endpoint_url=f"http://{LOOPBACK}:{free_port()}", access_key_id="a", secret_access_key="b"
    )

    with pytest.raises(PayloadUnavailable, match="does not answer"):
        await ClaimStore(settings).get(key(), max_bytes=1)


@pytest.mark.parametrize("url", ["ftp://host/x", "/srv/payloads", "file://relative", "s3://", "https://host/x", "s3:x"])
def test_other_addresses_are_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        ClaimCheckSettings(url=url)


def test_nothing_is_opened_while_no_address_is_set() -> None:
    assert open_claim_check(ClaimCheckSettings(url=None)) is None


def test_a_process_without_a_store_never_imports_its_libraries() -> None:
    code = "import sys, muster.bootstrap, muster.connect; print({'fsspec', 's3fs', 'botocore'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603

    assert shown.stdout.strip() == "set()"
