"""Where files are referred to: written once, audited as the backend would, and cleared exactly."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rotc.connection import Connection, connected
from rotc.demo.load import load
from rotc.errors import DamagedImages, UnknownEntity
from rotc.media import Attached, Cleared, EntityType, attach, clear_references, require_entity
from rotc.migrate import migrate

pytestmark = pytest.mark.postgres

SUBMITTER = 6
HOST = "https://res.cloudinary.com/unit/image/upload"
PHOTO = f"{HOST}/v1/rotc/profile_pic/profile_pic_1.jpg"
LETTER = "https://res.cloudinary.com/unit/raw/upload/v1/rotc/excuse_letter/excuse_letter_1.pdf"


def picture(name: str, version: int = 1) -> str:
    return f"{HOST}/v{version}/rotc/activity_image/{name}.jpg"


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[Connection]:
    async with connected(postgres) as open_connection:
        await migrate(open_connection)
        await load(open_connection, seed=1, cadets=10)
        yield open_connection


async def audit(connection: Connection) -> list[tuple[str, str, int, int | None]]:
    rows = await connection.fetch("SELECT table_name, operation, record_id, user_id FROM audit_logs ORDER BY id")
    return [tuple(row) for row in rows]


async def payload(connection: Connection) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        await connection.fetchval("SELECT payload FROM audit_logs ORDER BY id DESC LIMIT 1")
    )
    return loaded


async def shown(connection: Connection, activity_id: int = 1) -> tuple[list[str], list[str]]:
    """The pictures of an activity: in its list, and as rows."""
    text = await connection.fetchval("SELECT images FROM activities WHERE id = $1", activity_id)
    rows = await connection.fetch(
        "SELECT image_url FROM activity_images WHERE activity_id = $1 ORDER BY id", activity_id
    )
    return json.loads(text or "[]"), [row["image_url"] for row in rows]


async def test_a_profile_picture_is_written_once_and_audited_with_the_whole_row(connection: Connection) -> None:
    first = await attach(connection, EntityType.PROFILE_PIC, 1, PHOTO, submitter=SUBMITTER)
    again = await attach(connection, EntityType.PROFILE_PIC, 1, PHOTO, submitter=SUBMITTER)

    assert first == Attached(EntityType.PROFILE_PIC, 1, PHOTO, changed=True)
    assert again == Attached(EntityType.PROFILE_PIC, 1, PHOTO, changed=False)
    assert await connection.fetchval("SELECT profile_pic FROM cadets WHERE id = 1") == PHOTO
    assert await audit(connection) == [("cadets", "UPDATE", 1, SUBMITTER)]
    saved = await payload(connection)
    assert saved["profile_pic"] == PHOTO
    assert len(saved) == 34  # every column of the row


async def test_a_letter_gets_its_file_and_its_attendance_is_left_alone(connection: Connection) -> None:
    letter_id = await connection.fetchval("SELECT min(id) FROM excuse_letters")
    await connection.execute("UPDATE excuse_letters SET status = 'approved' WHERE id = $1", letter_id)
    await connection.execute("UPDATE attendance_records SET status = 'present'")

    await attach(connection, EntityType.EXCUSE_LETTER, letter_id, LETTER, submitter=None)

    assert await connection.fetchval("SELECT file_url FROM excuse_letters WHERE id = $1", letter_id) == LETTER
    assert await audit(connection) == [("excuse_letters", "UPDATE", letter_id, None)]
    assert await connection.fetchval("SELECT count(*) FROM attendance_records WHERE status <> 'present'") == 0


async def test_an_activitys_picture_is_listed_once_in_both_places(connection: Connection) -> None:
    for url in (picture("a"), picture("b"), picture("a")):
        await attach(connection, EntityType.ACTIVITY_IMAGE, 1, url, submitter=SUBMITTER)

    assert await shown(connection) == ([picture("a"), picture("b")],) * 2
    assert await audit(connection) == [("activities", "UPDATE", 1, SUBMITTER)] * 2


async def test_a_newer_version_takes_the_place_of_the_older_one(connection: Connection) -> None:
    for url in (picture("a"), picture("b"), picture("a", version=2)):
        await attach(connection, EntityType.ACTIVITY_IMAGE, 1, url, submitter=None)

    assert await shown(connection) == ([picture("a", version=2), picture("b")],) * 2


async def test_pictures_added_at_once_are_all_kept(postgres: str, connection: Connection) -> None:
    async def add(url: str) -> None:
        async with connected(postgres) as own:
            await attach(own, EntityType.ACTIVITY_IMAGE, 1, url, submitter=None)

    urls = [picture(f"p{number}") for number in range(8)]
    await asyncio.gather(*map(add, urls))

    listed, rows = await shown(connection)
    assert sorted(listed) == sorted(rows) == urls


async def test_a_list_that_cannot_be_read_is_never_overwritten(connection: Connection) -> None:
    await connection.execute("UPDATE activities SET images = '/uploads/old.jpg' WHERE id = 1")

    with pytest.raises(DamagedImages):
        await require_entity(connection, EntityType.ACTIVITY_IMAGE, 1)
    with pytest.raises(DamagedImages):
        await attach(connection, EntityType.ACTIVITY_IMAGE, 1, picture("a"), submitter=None)

    assert await connection.fetchval("SELECT images FROM activities WHERE id = 1") == "/uploads/old.jpg"
    assert await connection.fetchval("SELECT count(*) FROM activity_images") == 0


@pytest.mark.parametrize("entity_type", list(EntityType))
@pytest.mark.parametrize("entity_id", [9_999, 0, -3, 2**31, 10**30])
async def test_an_unknown_entity_is_refused_before_and_at_writing(
    connection: Connection, entity_type: EntityType, entity_id: int
) -> None:
    with pytest.raises(UnknownEntity, match=f"has id {entity_id}"):
        await require_entity(connection, entity_type, entity_id)
    with pytest.raises(UnknownEntity, match=f"has id {entity_id}"):
        await attach(connection, entity_type, entity_id, PHOTO, submitter=None)

    assert await audit(connection) == []


async def test_known_entities_pass(connection: Connection) -> None:
    for entity_type in EntityType:
        await require_entity(connection, entity_type, 1)


async def test_clearing_takes_the_file_out_of_every_place_and_audits_each(connection: Connection) -> None:
    await connection.execute("UPDATE cadets SET profile_pic = $1 WHERE id IN (1, 3)", picture("x"))
    await connection.execute("UPDATE excuse_letters SET file_url = $1 WHERE id = 1", picture("x", version=7))
    await attach(connection, EntityType.ACTIVITY_IMAGE, 2, picture("x"), submitter=None)
    await attach(connection, EntityType.ACTIVITY_IMAGE, 2, picture("y"), submitter=None)
    await connection.execute(
        "UPDATE activities SET image_path = $1 WHERE id = 3", f"{HOST}/w_100/rotc/activity_image/x.png"
    )
    await connection.execute("DELETE FROM audit_logs")

    cleared = await clear_references(connection, "rotc/activity_image/x", submitter=SUBMITTER)
    again = await clear_references(connection, "rotc/activity_image/x", submitter=SUBMITTER)

    assert cleared == Cleared(cadet_ids=(1, 3), activity_ids=(2, 3), excuse_letter_ids=(1,))
    assert (cleared.count, again.count) == (5, 0)
    assert await shown(connection, 2) == ([picture("y")],) * 2
    assert await connection.fetchval("SELECT count(*) FROM cadets WHERE profile_pic IS NOT NULL") == 0
    assert sorted(await audit(connection)) == [
        ("activities", "UPDATE", 2, SUBMITTER),
        ("activities", "UPDATE", 3, SUBMITTER),
        ("cadets", "UPDATE", 1, SUBMITTER),
        ("cadets", "UPDATE", 3, SUBMITTER),
        ("excuse_letters", "UPDATE", 1, SUBMITTER),
    ]


@pytest.mark.parametrize(
    "public_id",
    ["rotc/profile_pic/profile_pic_", "profile_pic_1", "rotc/profile%pic/profile_pic_1",
     "rotc_profile_pic_profile_pic_1", "rotc/profile_pic/profile_pic_1.jpg", "%", "_", ""],
)  # fmt: skip
async def test_a_name_that_only_resembles_the_files_clears_nothing(connection: Connection, public_id: str) -> None:
    await attach(connection, EntityType.PROFILE_PIC, 1, PHOTO, submitter=None)
    await attach(connection, EntityType.PROFILE_PIC, 2, PHOTO.replace("pic_1", "pic_10"), submitter=None)

    assert (await clear_references(connection, public_id, submitter=None)).count == 0


async def test_a_neighbour_with_a_longer_name_keeps_its_picture(connection: Connection) -> None:
    await attach(connection, EntityType.PROFILE_PIC, 1, PHOTO, submitter=None)
    await attach(connection, EntityType.PROFILE_PIC, 10, PHOTO.replace("pic_1.", "pic_10."), submitter=None)

    assert (await clear_references(connection, "rotc/profile_pic/profile_pic_1", submitter=None)).cadet_ids == (1,)


async def test_an_accented_name_is_found_in_an_encoded_url(connection: Connection) -> None:
    await attach(connection, EntityType.PROFILE_PIC, 1, f"{HOST}/v1/Pe%C3%B1a.jpg", submitter=None)

    assert (await clear_references(connection, "Peña", submitter=None)).cadet_ids == (1,)


async def test_clearing_works_around_a_list_that_cannot_be_read(connection: Connection) -> None:
    damaged = f"not json {picture('x')}"
    await connection.execute("UPDATE activities SET images = $1 WHERE id = 1", damaged)

    assert (await clear_references(connection, "rotc/activity_image/x", submitter=None)).count == 0
    assert await connection.fetchval("SELECT images FROM activities WHERE id = 1") == damaged


async def test_writes_belong_to_the_callers_transaction(connection: Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await attach(connection, EntityType.PROFILE_PIC, 1, PHOTO, submitter=None)
    await attach(connection, EntityType.ACTIVITY_IMAGE, 1, picture("a"), submitter=None)
    await transaction.rollback()

    assert await connection.fetchval("SELECT profile_pic FROM cadets WHERE id = 1") is None
    assert await shown(connection) == ([], [])
    assert await audit(connection) == []


async def test_a_database_without_ocr_columns_serves_as_well(connection: Connection) -> None:
    await connection.execute("ALTER TABLE excuse_letters DROP COLUMN ocr_text, DROP COLUMN ocr_confidence")

    await attach(connection, EntityType.EXCUSE_LETTER, 1, LETTER, submitter=SUBMITTER)

    assert "ocr_text" not in await payload(connection)
