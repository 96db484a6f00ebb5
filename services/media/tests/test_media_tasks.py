"""The three tasks on a real database: what is stored, what is written down, and what a repeated run leaves out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from media_service.resources import MediaResources
from media_service.tasks import app
from muster.adapters.claim_store import open_claim_check
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.contracts.claim_check import refer
from muster.ports import Effect
from muster.settings import ClaimCheckSettings
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed
from PIL import Image
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.service_resources import Effects
from rotc.storage import StorageUnavailable

PDF = b"%PDF-1.7\ntrailer <<>>\nstartxref\n9\n%%EOF\n"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def photo(colour: str = "olive", size: tuple[int, int] = (320, 200)) -> str:
    output = io.BytesIO()
    Image.new("1" if size[0] > 9999 else "RGB", size, colour).save(output, "PNG")
    return encoded(output.getvalue())


class MemoryStorage:
    """A storage that remembers every call and fails when told to."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.uploads: list[str] = []
        self.fail: Callable[[str], bool] = lambda public_id: False
        self.after_upload: Callable[[], Any] | None = None

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        if self.fail(public_id):
            raise StorageUnavailable("The storage asks us to slow down.", after=7)
        self.uploads.append(public_id)
        self.files[public_id] = (resource_type, data)
        if self.after_upload is not None:
            await self.after_upload()
        extension = "" if resource_type == "raw" else ".jpg"
        return f"https://res.example/unit/{resource_type}/upload/v{len(self.uploads)}/{public_id}{extension}"

    async def destroy(self, public_id: str) -> bool:
        return self.files.pop(public_id, None) is not None


class NoWeb:
    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{url} was fetched")


@dataclass
class Unit:
    """Cadets 1 to 3, an activity and a letter with id 1, and a worker's way of running the tasks on them."""

    harness: TaskHarness[MediaResources]
    storage: MemoryStorage

    async def compress(
        self, entity_type: str, data: object, entity_id: object = 1, task_id: str = "t1", **more: object
    ) -> Outcome:
        parameters = {"image_data": data, "entity_type": entity_type, "entity_id": entity_id, **more}
        return await self.harness.run("compress_and_upload_image", parameters, task_id=task_id)

    async def batch(self, *images: tuple[str, str, int], attempt: int = 1) -> Outcome:
        listed = [{"image_data": data, "entity_type": kind, "entity_id": number} for kind, data, number in images]
        return await self.harness.run("batch_compress_images", {"image_list": listed}, attempt=attempt)

    async def value(self, query: str) -> Any:
        return await self.harness.resources.pool.fetchval(query)

    async def count(self, table: str) -> int:
        return int(await self.value(f"SELECT count(*) FROM {table}"))  # noqa: S608  the tests' own words


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


PICTURE = "SELECT profile_pic FROM cadets WHERE id = 1"
ROWS = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz', 'Ongoing', false, false, now() FROM generate_series(1, 3) n;
INSERT INTO activities (id, title, description, date, type, created_at)
    VALUES (1, 'Parade', '', '2026-01-05', 'activity', now());
INSERT INTO excuse_letters (id, cadet_id, date_absent, reason, status, created_at)
    VALUES (1, 1, '2026-01-05', 'ill', 'pending', now());
"""


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        storage = MemoryStorage()
        resources = MediaResources(pool, effects, storage, NoWeb(), parallel=2)
        yield Unit(TaskHarness(app, resources, SystemClock()), storage)


async def test_a_cadets_picture_is_stored_and_written_down(unit: Unit) -> None:
    result = result_of(await unit.compress("profile_pic", photo(), max_size=[160, 160]))

    kind, data = unit.storage.files["rotc/profile_pic/profile_pic_1"]
    assert (kind, Image.open(io.BytesIO(data)).size) == ("image", (160, 100))
    assert await unit.value(PICTURE) == result.pop("url")
    assert result.pop("saved_percent") == pytest.approx(100 * (1 - len(data) / result["original_bytes"]), abs=0.1)
    assert result.pop("original_bytes") > 0
    assert result == {
        "public_id": "rotc/profile_pic/profile_pic_1", "format": "jpg", "width": 160, "height": 100, "bytes": len(data),
    }  # fmt: skip


async def test_a_picture_in_the_store_is_stored_like_any_other(unit: Unit, tmp_path: Path) -> None:
    claims = open_claim_check(ClaimCheckSettings(url=f"file://{tmp_path}/claims"))
    assert claims is not None
    unit.harness.claims = claims
    data = base64.b64decode(photo())
    reference = refer("t1", data, now=datetime.now(UTC), media_type="image/png")
    await claims.store.put(reference.key, data)

    result = result_of(await unit.compress("profile_pic", msgspec.to_builtins(reference)))

    assert result["original_bytes"] == len(data)
    assert await unit.value(PICTURE) == result["url"]


async def test_pictures_of_an_activity_are_added_to_the_others(unit: Unit) -> None:
    outcomes = [await unit.compress("activity_image", photo(colour), task_id=colour) for colour in ("red", "blue")]

    assert json.loads(await unit.value("SELECT images FROM activities")) == [result_of(o)["url"] for o in outcomes]
    assert await unit.count("activity_images") == 2


async def test_a_letters_document_is_stored_unchanged(unit: Unit) -> None:
    result = result_of(await unit.compress("excuse_letter", encoded(PDF)))

    assert unit.storage.files == {"rotc/excuse_letter/excuse_letter_1.pdf": ("raw", PDF)}
    assert (result["format"], result["width"], result["saved_percent"]) == ("pdf", None, 0.0)
    assert await unit.value("SELECT file_url FROM excuse_letters WHERE id = 1") == result["url"]


@pytest.mark.parametrize(
    ("entity_type", "noun"),
    [("profile_pic", "cadet"), ("activity_image", "activity"), ("excuse_letter", "excuse letter")],
)
async def test_an_unknown_entity_is_refused_before_anything_is_read(unit: Unit, entity_type: str, noun: str) -> None:
    outcome = await unit.compress(entity_type, "https://files.example.org/never-asked.jpg", entity_id=99)

    assert refusal_of(outcome) == ("permanent", f"No {noun} has id 99.")
    assert unit.storage.uploads == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("/media/photo.jpg", "The file is neither base64 text, nor a data: URL, nor an https: URL."),
        (encoded(b"just text"), "The file is of no known type: profile_pic takes a JPEG, PNG, GIF or WebP picture."),
        (encoded(PDF), "The file is of type PDF: profile_pic takes a JPEG, PNG, GIF or WebP picture."),
        (photo()[:200], "The PNG picture is truncated or damaged: export it again and resend it."),
        (photo(size=(20_000, 10_000)), "The picture has 200.0 megapixels, at most 50 are accepted: scale it down."),
        (encoded(bytes(11 << 20)), "The file has 11.0 MB, at most 10 MB are accepted."),
        ({"ref": "abc"}, None),
        (None, None),
    ],
    ids=["a path", "text", "a document", "truncated", "200 megapixels", "11 MB", "a claim check", "nothing"],
)
async def test_a_bad_file_is_told_in_one_sentence_and_nothing_is_stored(
    unit: Unit, data: str, sentence: str | None
) -> None:
    kind, message = refusal_of(await unit.compress("profile_pic", data))

    assert (kind, message) == ("permanent", sentence) if sentence else (kind == "invalid" and "image_data" in message)
    assert (unit.storage.uploads, await unit.value(PICTURE)) == ([], None)


async def test_wrong_names_and_types_are_named_each(unit: Unit) -> None:
    outcome = await unit.compress("cat", photo(), entity_id="12", image="twice", quality=0)

    kind, message = refusal_of(outcome)
    assert kind == "invalid"
    assert all(f"{name}: " in message for name in ("entity_type", "entity_id", "image", "quality"))


async def test_a_task_run_again_gives_the_first_result_and_stores_nothing(unit: Unit) -> None:
    first = result_of(await unit.compress("activity_image", photo()))
    again = result_of(await unit.compress("activity_image", photo()))

    assert again == first
    assert (unit.storage.uploads, await unit.count("activity_images")) == ([first["public_id"]], 1)


class LosingFirstWrite:
    """The database connection is lost at the end of the first write, when the upload has been made."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._writes = 0

    @asynccontextmanager
    async def once(self, task_id: str, name: str) -> AsyncIterator[Effect]:
        async with self._effects.once(task_id, name) as effect:
            yield effect
            self._writes += 1
            if self._writes == 1:
                raise ConnectionResetError("the database went away")


async def test_a_lost_write_is_made_good_by_the_next_attempt(unit: Unit) -> None:
    resources = unit.harness.resources
    unit.harness.resources = replace(resources, effects=LosingFirstWrite(resources.effects))
    assert isinstance(await unit.compress("activity_image", photo()), RetryAt)
    assert await unit.count("activity_images") == 0

    result = result_of(await unit.compress("activity_image", photo()))

    assert unit.storage.uploads == [result["public_id"]] * 2, "the same name, so the file is replaced"
    assert await unit.value("SELECT image_url FROM activity_images") == result["url"]


async def test_the_file_goes_when_its_entity_was_deleted_meanwhile(unit: Unit) -> None:
    unit.storage.after_upload = lambda: unit.harness.resources.pool.execute("DELETE FROM activities")

    assert refusal_of(await unit.compress("activity_image", photo())) == ("permanent", "No activity has id 1.")

    assert (len(unit.storage.uploads), unit.storage.files) == (1, {})


async def test_one_bad_picture_does_not_fail_the_others(unit: Unit) -> None:
    outcome = await unit.batch(
        ("profile_pic", photo(), 1), ("profile_pic", "no/pict.ure", 2), ("profile_pic", photo(), 99),
        ("activity_image", photo(), 1), ("profile_pic", photo()[:100], 3),
    )  # fmt: skip

    result = result_of(outcome)
    assert [result[name] for name in ("total", "success_count", "error_count")] == [5, 2, 3]
    assert [item["index"] for item in result["results"]] == [0, 3]
    assert {item["index"]: item["error"] for item in result["errors"]} == {
        1: "The file is neither base64 text, nor a data: URL, nor an https: URL.",
        2: "No cadet has id 99.",
        4: "The PNG picture is truncated or damaged: export it again and resend it.",
    }
    assert unit.harness.progress == [(done, 5, "pictures") for done in (1, 2, 3, 4, 5)]


async def test_a_batch_tries_again_what_failed_for_now_and_only_that(unit: Unit) -> None:
    images = [("profile_pic", photo(), number) for number in (1, 2, 3)]
    unit.storage.fail = lambda public_id: public_id.endswith("_2")
    first = await unit.batch(*images)
    assert isinstance(first, RetryAt)
    assert first.failure.message == (
        "1 of 3 pictures could not be stored yet, the first: The storage asks us to slow down."
    )

    unit.storage.fail = lambda public_id: False
    result = result_of(await unit.batch(*images, attempt=2))

    assert result["success_count"] == 3
    assert sorted(unit.storage.uploads) == [f"rotc/profile_pic/profile_pic_{number}" for number in (1, 2, 3)]


async def test_the_last_attempt_of_a_batch_lists_what_never_worked(unit: Unit) -> None:
    unit.storage.fail = lambda public_id: public_id.endswith("_2")

    result = result_of(await unit.batch(("profile_pic", photo(), 1), ("profile_pic", photo(), 2), attempt=4))

    assert result["errors"] == [{"index": 1, "error": "The storage asks us to slow down."}]
    assert result["success_count"] == 1


async def test_a_deleted_file_leaves_no_reference_and_deleting_twice_is_a_success(unit: Unit) -> None:
    stored = result_of(await unit.compress("profile_pic", photo()))
    parameters = {"public_id": stored["public_id"]}

    outcomes = [await unit.harness.run("delete_cloudinary_image", parameters, task_id=name) for name in "aab"]

    assert [result_of(outcome)["result"] for outcome in outcomes] == ["ok", "ok", "not found"]
    assert (unit.storage.files, await unit.value(PICTURE)) == ({}, None)


def test_every_task_is_announced_with_its_parameters() -> None:
    described = {name: task.describe("media", "1") for name, task in app.tasks.items()}

    assert set(described) == {"compress_and_upload_image", "batch_compress_images", "delete_cloudinary_image"}
    assert set(described["compress_and_upload_image"].parameters["required"]) == {
        "image_data", "entity_type", "entity_id",
    }  # fmt: skip
    assert all(description.description for description in described.values())
