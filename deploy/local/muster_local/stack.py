"""The local system: which parts, in which order, with which environment. Starts them through a supervisor only."""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from notify_service.vapid import new_pair

from muster_local.errors import LocalError
from muster_local.parts import KafkaPart, PostgresPart, ServicePart, Step
from muster_local.ports import LOOPBACK, is_free
from muster_local.state import State
from muster_local.supervisor import Supervisor

SERVICES = ("tracker", "media", "reports", "ocr", "import", "notify", "alerts", "scheduler")
#: Parts that are a command of another part's service.
_COMMANDS = {"alerts": ("notify_service", "alerts")}
DATABASE = "rotc"
_API_PORT = 8000
# What the person's own shell says of other installations must not reach the local one.
_FOREIGN = (
    "KAFKA_",
    "CLOUDINARY_",
    "REPORTS_",
    "CERTIFICATE_",
    "MEDIA_",
    "OCR_",
    "EMAIL_",
    "DEFAULT_FROM_EMAIL",
    "NOTIFY_",
    "UNSUBSCRIBE_KEYS",
    "IMPORT_",
    "REDIS_URL",
    "VAPID_",
    "PUSH_",
    "ALERT_",
    "TRACKER_",
    "DATABASE_URL",
    "MUSTER_DATABASE_URL",
    "MUSTER_HTTP_",
    "PG",
)


@dataclass
class Stack:
    """Everything under one home folder."""

    home: Path
    cache: Path
    state: State
    #: Environment of every service; complete once the infrastructure runs.
    env: dict[str, str] = field(default_factory=dict, repr=False)

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def up(self, supervisor: Supervisor) -> None:
        """Start everything: the infrastructure at once, then the services at once. Raises LocalError."""
        self.env = self._environment()
        together(
            lambda: self._start_kafka(supervisor),
            lambda: self._start_postgres(supervisor),
            lambda: supervisor.start(self._cloudinary()),
            lambda: supervisor.start(self._push()),
            lambda: supervisor.start(self._mail()),
        )
        write_environment(self.home, self._told())
        together(*(lambda name=name: supervisor.start(self._service(name)) for name in SERVICES))

    def _start_kafka(self, supervisor: Supervisor) -> None:
        supervisor.start(KafkaPart(self.home / "kafka", self.cache, self._port_of("KAFKA_BOOTSTRAP_SERVERS")))
        supervisor.run(self._step("topics", sys.executable, "-m", "muster.cli", "topics", "apply"))

    def _start_postgres(self, supervisor: Supervisor) -> None:
        def tell(dsn: str) -> None:
            self.env["DATABASE_URL"] = dsn

        part = PostgresPart(self.home / "postgres", self.state.port("postgres"), DATABASE, tell_dsn=tell)
        supervisor.start(part)
        for name, module in (("rotc tables", "rotc"), ("task tables", "tracker_service")):
            supervisor.run(self._step(name, sys.executable, "-m", module, "migrate"))
        supervisor.run(self._step("demo data", sys.executable, "-m", "rotc", "demo"))

    def _cloudinary(self) -> ServicePart:
        port = self.state.port("cloudinary")
        module = (sys.executable, "-m", "muster_local.cloudinary")
        command = (*module, "--port", str(port), "--folder", str(self.home / "cloudinary"))
        return ServicePart("cloudinary", command, self.env, self.log("cloudinary"), port, layer=0)

    def _push(self) -> ServicePart:
        port = self._port_of("PUSH_SERVICE_URL")
        module = (sys.executable, "-m", "muster_local.push_service")
        command = (*module, "--port", str(port), "--folder", str(self.home / "push"))
        return ServicePart("push", command, self.env, self.log("push"), port, layer=0)

    def _mail(self) -> ServicePart:
        port = self._port_of("MAIL_URL")
        ports = ("--smtp-port", self.env["EMAIL_PORT"], "--port", str(port))
        command = (sys.executable, "-m", "muster_local.mailbox", *ports)
        return ServicePart("mail", command, self.env, self.log("mail"), port, layer=0)

    def _service(self, name: str) -> ServicePart:
        probe = self.state.port(f"{name} probes")
        env = {**self.env, "MUSTER_HTTP_PORT": str(probe), "MUSTER_WORKER_NAME": "local"}
        port = int(self.env["TRACKER_HTTP_PORT"]) if name == "tracker" else None
        command = (sys.executable, "-m", *_COMMANDS.get(name, (f"{name}_service",)))
        return ServicePart(name, command, env, self.log(name), probe, port)

    def _step(self, name: str, *command: str) -> Step:
        return Step(name, command, self.env, self.log(name.replace(" ", "-")))

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        port = self._api_port()
        cloudinary = f"http://{LOOPBACK}:{self.state.port('cloudinary')}"
        return {
            **kept,
            **load_secrets(self.home),
            "PYTHONUNBUFFERED": "1",
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.state.port('kafka')}",
            "CLOUDINARY_UPLOAD_PREFIX": cloudinary,
            "MEDIA_ALLOWED_HOSTS": LOOPBACK,
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
            "REPORTS_PHOTO_HOSTS": LOOPBACK,
            "REPORTS_ALLOW_PRIVATE_HOSTS": "true",
            "REPORTS_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
            "OCR_ALLOWED_HOSTS": LOOPBACK,
            "OCR_ALLOW_PRIVATE_HOSTS": "true",
            "IMPORT_ALLOWED_HOSTS": LOOPBACK,
            "IMPORT_ALLOW_PRIVATE_HOSTS": "true",
            "PUSH_SERVICE_URL": f"http://{LOOPBACK}:{self.state.port('push')}",
            "PUSH_HOSTS": LOOPBACK,
            "PUSH_ALLOW_PRIVATE_HOSTS": "true",
            "VAPID_SUBJECT": "mailto:demo@unit.example",
            "MAIL_URL": f"http://{LOOPBACK}:{self.state.port('mail')}",
            "EMAIL_HOST": LOOPBACK,
            "EMAIL_PORT": str(self.state.port("mail smtp")),
            "EMAIL_USE_TLS": "false",
            "DEFAULT_FROM_EMAIL": "ROTC Unit <noreply@unit.example>",
            "NOTIFY_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
            "MUSTER_HTTP_HOST": LOOPBACK,
            "MUSTER_GRACE_SECONDS": kept.get("MUSTER_GRACE_SECONDS", "10"),
            "TRACKER_HTTP_HOST": LOOPBACK,
            "TRACKER_HTTP_PORT": str(port),
        }

    def _api_port(self) -> int:
        asked = os.environ.get("TRACKER_HTTP_PORT")
        if not asked:
            return self.state.port("tracker", _API_PORT)
        if not asked.isdecimal() or not 0 < int(asked) < 65_536:
            raise LocalError(f"TRACKER_HTTP_PORT is {asked!r}: give a port number from 1 to 65535.")
        if not is_free(int(asked)):
            raise LocalError(
                f"Port {asked} (TRACKER_HTTP_PORT) is taken: end the program that uses it, or name another."
            )
        return int(asked)

    def _port_of(self, variable: str) -> int:
        return int(self.env[variable].rpartition(":")[2])

    def _told(self) -> dict[str, str]:
        """What another terminal needs to use the system."""
        names = (
            "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "DJANGO_SECRET_KEY", "TRACKER_HTTP_PORT", "PUSH_SERVICE_URL",
            "MAIL_URL",
        )  # fmt: skip
        told = {name: value for name, value in self.env.items() if name in names or name.startswith("CLOUDINARY_")}
        return {**told, "MUSTER_API_URL": f"http://{LOOPBACK}:{self.env['TRACKER_HTTP_PORT']}"}


def together(*works: Callable[[], None]) -> None:
    """Do several things at once; waits for all and raises the first error."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
    for future in futures:
        future.result()


def load_secrets(home: Path) -> dict[str, str]:
    """The throw-away secrets of this installation: kept from its first start on, those of newer parts added."""
    path = home / "secrets.json"
    known = read_private(path) if path.exists() else {}
    vapid = new_pair()
    made = {
        "DJANGO_SECRET_KEY": secrets.token_hex(32),
        "CERTIFICATE_KEYS": secrets.token_hex(32),
        "UNSUBSCRIBE_KEYS": secrets.token_hex(32),
        "CLOUDINARY_CLOUD_NAME": "rotc-local",
        "CLOUDINARY_API_KEY": str(secrets.randbelow(10**15)),
        "CLOUDINARY_API_SECRET": secrets.token_hex(16),
        "VAPID_PUBLIC_KEY": vapid.public,
        "VAPID_PRIVATE_KEY": vapid.private,
    }
    if made.keys() - known.keys():
        _write_private(path, {**made, **known})
    return read_private(path)


def write_environment(home: Path, env: Mapping[str, str]) -> None:
    _write_private(home / "environment.json", env)


def read_environment(home: Path) -> dict[str, str]:
    """What `write_environment` wrote; empty when the system never ran."""
    path = home / "environment.json"
    return read_private(path) if path.exists() else {}


def read_private(path: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_private(path: Path, content: Mapping[str, str]) -> None:
    scratch = path.with_suffix(".part")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        json.dump(dict(content), target, indent=2)
    os.replace(scratch, path)
