"""One program of the system under test: started, killed, drained. What it is told by its environment is system.py's."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from muster_local import processes
from muster_local.parts import ServicePart
from muster_local.processes import ProcessIdentity


@dataclass
class Program:
    """A program and, while it runs, its process."""

    part: ServicePart
    identity: ProcessIdentity | None = None

    def start(self) -> Program:
        """Start it and wait until it is ready."""
        self.part.start(self._remember, lambda _done, _total: None)
        return self

    def change(self, **environment: str) -> None:
        """Tell it something else at its next start."""
        self.part = replace(self.part, env={**self.part.env, **environment})

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say anything. Returns when it is gone."""
        self._signal(signal.SIGKILL)
        self.ended()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        self._signal(signal.SIGTERM)

    def drain(self) -> int:
        """SIGTERM; returns the exit code."""
        self.ask_to_stop()
        return self.ended()

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end; returns the exit code."""
        assert self.identity is not None, f"{self.part.name} was never started"
        assert processes.wait(self.identity, seconds), f"{self.part.name} did not end within {seconds:g} s"
        code = processes.exit_code(self.identity)
        assert code is not None
        return code

    @property
    def alive(self) -> bool:
        return self.identity is not None and self.identity.is_alive()

    def stop(self) -> None:
        """End it when the test is over, whatever state it is in."""
        if self.identity is not None:
            processes.stop(self.identity, timeout_seconds=15)

    def _remember(self, identity: ProcessIdentity) -> None:
        self.identity = identity

    def _signal(self, number: signal.Signals) -> None:
        process = self.identity.process() if self.identity else None
        assert process is not None, f"{self.part.name} does not run"
        process.send_signal(number)
