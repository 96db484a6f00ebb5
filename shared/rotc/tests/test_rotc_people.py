"""Users for authorization: found by users.id, and granted nothing by an unknown role."""

from collections.abc import AsyncIterator

import pytest
from rotc.connection import Connection, connected
from rotc.demo.load import load
from rotc.errors import UnknownEntity
from rotc.migrate import migrate
from rotc.people import Role, User, approved_admins, user_by_id

pytestmark = pytest.mark.postgres


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[Connection]:
    async with connected(postgres) as open_connection:
        await migrate(open_connection)
        await load(open_connection, seed=1, cadets=3)
        yield open_connection


async def test_a_user_is_found_with_role_approval_and_cadet(connection: Connection) -> None:
    assert await user_by_id(connection, 1) == User(1, Role.ADMIN, True, None)
    assert await user_by_id(connection, 3) == User(3, Role.TRAINING_STAFF, True, None)
    assert await user_by_id(connection, 6) == User(6, Role.CADET, True, 1)
    assert await user_by_id(connection, 8) == User(8, Role.CADET, False, 3)


@pytest.mark.parametrize("user_id", [99, 0, -1, 2**31, 10**30])
async def test_an_unknown_user_is_one_sentence(connection: Connection, user_id: int) -> None:
    with pytest.raises(UnknownEntity, match=f"^No user has id {user_id}.$"):
        await user_by_id(connection, user_id)


async def test_a_role_nobody_knows_is_not_mistaken_for_one(connection: Connection) -> None:
    await connection.execute("UPDATE users SET role = 'Admin' WHERE id = 1")

    assert (await user_by_id(connection, 1)).role is Role.UNKNOWN


async def test_only_approved_admins_are_told(connection: Connection) -> None:
    await connection.execute("UPDATE users SET is_approved = false WHERE id = 1")

    assert await approved_admins(connection) == (User(2, Role.ADMIN, True, None),)
