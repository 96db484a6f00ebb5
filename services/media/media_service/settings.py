"""What the media service alone reads from the environment; everything shared is in muster.settings."""

from __future__ import annotations

from muster.contracts.errors import ConfigurationError
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class MediaSettings(BaseSettings):
    """Frozen; field names are the environment names in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    database_url: SecretStr
    cloudinary_cloud_name: str
    cloudinary_api_key: str
    cloudinary_api_secret: SecretStr
    cloudinary_upload_prefix: str = "https://api.cloudinary.com"
    #: Seconds one upload or deletion may take.
    cloudinary_timeout_seconds: float = Field(60.0, gt=0, le=600)
    #: Comma-separated hosts that files may be fetched from; none when empty.
    media_allowed_hosts: str = ""
    #: Local demo only: fetch from private addresses and over plain http.
    media_allow_private_hosts: bool = False

    @classmethod
    def from_environment(cls) -> MediaSettings:
        """Raises ConfigurationError that names every variable that is missing or wrong."""
        try:
            return cls()  # the fields come from the environment
        except ValidationError as error:
            problems = "; ".join(f"{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
            raise ConfigurationError(f"the media service cannot start: {problems}") from None
