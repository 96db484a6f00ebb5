"""What runs and where, kept in `state.json` so that another terminal can see and end it. Starts and ends nothing."""

import json
import os
import signal
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from muster_local.ports import free_port
from muster_local.processes import ProcessIdentity


@dataclass(frozen=True)
class PartRecord:
    """One process of the local system."""

    pid: int
    #: Start time of the process: with the pid, it cannot be mistaken for another.
    created: float
    log: str
    #: "host:port" once it is ready.
    address: str | None = None
    restarts: int = 0
    #: What asks it to end.
    first_signal: int = signal.SIGTERM
    #: Ended before everything of a lower layer.
    layer: int = 0

    @property
    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid, self.created)


@dataclass
class State:
    """The content of the file; every change is written at once."""

    file: Path
    supervisor: ProcessIdentity | None = None
    #: All parts have answered at least once.
    ready: bool = False
    parts: dict[str, PartRecord] = field(default_factory=dict)
    #: Ports by part, remembered over restarts.
    ports: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def load(cls, file: Path) -> "State":
        """The state as it was last written; empty when there is none, or none that can be read."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls._parse(file, content)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls(file)

    @classmethod
    def _parse(cls, file: Path, content: dict[str, Any]) -> "State":
        supervisor = content["supervisor"]
        return cls(
            file,
            ProcessIdentity(**supervisor) if supervisor else None,
            content["ready"],
            {name: PartRecord(**record) for name, record in content["parts"].items()},
            content["ports"],
        )

    def supervised(self) -> bool:
        """Whether a living process looks after the parts."""
        return self.supervisor is not None and self.supervisor.is_alive()

    def ready_under(self, supervisor: ProcessIdentity) -> bool:
        """Whether this very process declared the system ready."""
        return self.ready and self.supervisor is not None and self.supervisor.pid == supervisor.pid

    def take(self, supervisor: ProcessIdentity | None) -> None:
        with self._lock:
            self.supervisor, self.ready = supervisor, False
            self._save()

    def declare_ready(self) -> None:
        with self._lock:
            self.ready = True
            self._save()

    def record(self, name: str, record: PartRecord) -> None:
        with self._lock:
            self.parts[name] = record
            self._save()

    def record_address(self, name: str, address: str) -> None:
        with self._lock:
            if name in self.parts:
                self.parts[name] = replace(self.parts[name], address=address)
            self._save()

    def forget(self, name: str) -> None:
        with self._lock:
            self.parts.pop(name, None)
            self._save()

    def port(self, name: str, default: int | None = None) -> int:
        """A free port for `name`: the one it had before if possible, else `default`, else any."""
        with self._lock:
            taken = {port for other, port in self.ports.items() if other != name}
            preferred = self.ports.get(name) or default
            port = free_port(preferred if preferred not in taken else None)
            while port in taken:
                port = free_port()
            self.ports[name] = port
            self._save()
            return port

    def _save(self) -> None:
        content = {
            "supervisor": asdict(self.supervisor) if self.supervisor else None,
            "ready": self.ready,
            "parts": {name: asdict(record) for name, record in self.parts.items()},
            "ports": self.ports,
        }
        scratch = self.file.with_suffix(".part")
        scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(scratch, self.file)
