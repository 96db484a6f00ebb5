"""What several services read from the environment: the database, the storage. A service's own lies in its settings."""

from __future__ import annotations

from typing import ClassVar, Self

from muster.contracts.errors import ConfigurationError
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Frozen; field names are the environment names in lower case. A subclass names its service."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    service: ClassVar[str]

    database_url: SecretStr

    @classmethod
    def from_environment(cls) -> Self:
        """Raises ConfigurationError that names every variable that is missing or wrong."""
        try:
            return cls()  # the fields come from the environment
        except ValidationError as error:
            problems = "; ".join(_problem(item["loc"], item["msg"]) for item in error.errors())
            raise ConfigurationError(f"the {cls.service} service cannot start: {problems}") from None


def _problem(place: tuple[int | str, ...], message: str) -> str:
    """What several settings together get wrong has no place, and names them itself."""
    return f"{str(place[0]).upper()}: {message}" if place else message.removeprefix("Value error, ")


class StorageSettings(ServiceSettings):
    """Of a service that stores files."""

    cloudinary_cloud_name: str
    cloudinary_api_key: str
    cloudinary_api_secret: SecretStr
    cloudinary_upload_prefix: str = "https://api.cloudinary.com"
    #: Seconds one upload or deletion may take.
    cloudinary_timeout_seconds: float = Field(60.0, gt=0, le=600)
