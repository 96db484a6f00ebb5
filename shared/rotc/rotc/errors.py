"""What can go wrong with the ROTC database. Errors of tasks and of Kafka live in muster.

RotcError
├── UnknownEntity
├── DamagedImages
├── DamagedGradingRules
├── MissingOcrColumns
├── WeakCertificateKey
├── WeakUnsubscribeKey
├── InvalidSubscription
├── UnusableVapidKey
├── MigrationRefused
├── DemoRefused
└── DatabaseUnreachable
"""


class RotcError(Exception):
    """One sentence a person can act on; the command line prints it and exits with 2."""


class UnknownEntity(RotcError):
    """The row a task names does not exist; trying again cannot help."""

    def __init__(self, noun: str, entity_id: int) -> None:
        super().__init__(f"No {noun} has id {entity_id}.")
        self.noun = noun
        self.entity_id = entity_id


class DamagedImages(RotcError):
    """activities.images holds something else than a JSON array of texts; a person has to repair it first."""

    def __init__(self, activity_id: int) -> None:
        super().__init__(f"activities.images of activity {activity_id} is not a JSON array of URLs; repair it first.")
        self.activity_id = activity_id


class DamagedGradingRules(RotcError):
    """The grading rules in system_settings cannot be used; a person has to repair them first."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The grading rules (system_settings, key grading_rules) cannot be used: {reason}.")


class MissingOcrColumns(RotcError):
    """excuse_letters has no place for what was read; somebody has to add the columns first."""

    def __init__(self) -> None:
        super().__init__(
            "excuse_letters has no ocr columns: run `muster-db migrate --add-ocr-columns` on this database."
        )


class WeakUnsubscribeKey(RotcError):
    """A key of unsubscribe links that is short enough to be guessed."""

    def __init__(self, shortest: int) -> None:
        super().__init__(f"A key in UNSUBSCRIBE_KEYS is shorter than {shortest} characters: openssl rand -hex 32")


class WeakCertificateKey(RotcError):
    """A key of certificates that could be guessed; the service does not start."""

    def __init__(self, shortest: int) -> None:
        super().__init__(
            f"CERTIFICATE_KEYS has a key of fewer than {shortest} characters: make one with `openssl rand -hex 32`."
        )


class InvalidSubscription(RotcError):
    """What a browser sent cannot be pushed to; `field` is where, and nothing it sent is repeated."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}.")
        self.field = field
        self.reason = reason


class UnusableVapidKey(RotcError):
    """A VAPID key that is none, does not fit its other half, or is known to everybody."""


class MigrationRefused(RotcError):
    """The database is not ours to migrate, or a migration was edited after it was applied; nothing was changed."""


class DemoRefused(RotcError):
    """The database has data which is not ours; nothing was written."""


class DatabaseUnreachable(RotcError):
    """There is no usable connection: wrong address, credentials or database name."""
