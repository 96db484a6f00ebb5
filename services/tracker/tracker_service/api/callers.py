"""Who is calling, and what that caller may do. Counting requests is limits.py's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt
from fastapi import Request
from pydantic import SecretStr
from rotc.errors import UnknownEntity
from rotc.people import Role, user_by_id

from tracker_service.api.errors import ApiError
from tracker_service.api.keys import digest, find_key
from tracker_service.database import Pool

LEEWAY_SECONDS = 60
CACHE_SECONDS = 30.0
_MAX_CACHED = 10_000
_LONGEST_CREDENTIAL = 4096


@dataclass(frozen=True)
class Caller:
    """A person (a row of `users`) or a machine (an API key)."""

    name: str
    #: users.id; None for a machine.
    user_id: int | None = None
    role: str = ""
    scopes: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN or "admin" in self.scopes

    @property
    def reads_all(self) -> bool:
        return self.is_admin or "read" in self.scopes

    def may_submit(self, roles: tuple[str, ...]) -> bool:
        """`roles`: those of the task type; none means any approved user."""
        if self.is_admin or "submit" in self.scopes:
            return True
        return self.user_id is not None and (not roles or self.role in roles)

    def sees(self, submitter: int | None) -> bool:
        return self.reads_all or (self.user_id is not None and submitter == self.user_id)


class Callers:
    """Reads identities: JWTs of the Django backend, and API keys. Roles are cached for half a minute."""

    def __init__(self, pool: Pool, secret_key: SecretStr | None) -> None:
        self._pool = pool
        self._secret_key = secret_key
        self._known: dict[str, tuple[float, Caller]] = {}

    async def identify(self, request: Request) -> Caller:
        """The caller of a request.

        Raises:
            ApiError: 401 without a valid identity, 403 for a person who is not approved.
        """
        key = request.headers.get("x-api-key", "")
        if key:
            return await self._machine(key)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unknown("send `Authorization: Bearer` with a token of the backend, or `X-API-Key`")
        return await self.person(self._claimed_id(token.strip()))

    async def _machine(self, key: str) -> Caller:
        name = f"key {digest(key).hex()}"
        known = self._cached(name)
        if known is not None:
            return known
        async with self._pool.acquire() as connection:
            found = await find_key(connection, key)
        if found is None:
            raise _unknown("the API key is not known or was revoked")
        return self._keep(name, Caller(name=f"key:{found[0]}", scopes=found[1]))

    async def person(self, user_id: int) -> Caller:
        """The person with this users.id. Raises as `identify` does."""
        known = self._cached(f"user {user_id}")
        if known is not None:
            return known
        async with self._pool.acquire() as connection:
            try:
                user = await user_by_id(connection, user_id)
            except UnknownEntity as error:
                raise _unknown("the token's user no longer exists") from error
        if not user.is_approved:
            raise ApiError(403, "your account has not been approved yet")
        return self._keep(f"user {user_id}", Caller(name=f"user:{user.id}", user_id=user.id, role=user.role.value))

    def _claimed_id(self, token: str) -> int:
        """users.id in a valid access token: `custom_user_id`. Its `user_id` is the id of another table."""
        if self._secret_key is None:
            raise _unknown("this tracker accepts API keys only: DJANGO_SECRET_KEY is not set")
        try:
            claims: dict[str, Any] = jwt.decode(
                token[:_LONGEST_CREDENTIAL], self._secret_key.get_secret_value(), algorithms=["HS256"],
                leeway=LEEWAY_SECONDS, options={"require": ["exp"], "verify_aud": False},
            )  # fmt: skip
        except jwt.ExpiredSignatureError as error:
            raise _unknown("the token has expired: log in again") from error
        except jwt.InvalidTokenError as error:
            raise _unknown("the token is not valid") from error
        user_id = claims.get("custom_user_id")
        if claims.get("token_type") != "access" or isinstance(user_id, bool) or not isinstance(user_id, int):
            raise _unknown("the token is no access token of the backend (claims token_type, custom_user_id)")
        return user_id

    def _cached(self, name: str) -> Caller | None:
        known = self._known.get(name)
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def _keep(self, name: str, caller: Caller) -> Caller:
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        self._known[name] = (time.monotonic() + CACHE_SECONDS, caller)
        return caller


def _unknown(message: str) -> ApiError:
    return ApiError(401, message, headers={"WWW-Authenticate": "Bearer"})
