"""One schedule: a few tasks, a few processes, faults for a while, then peace; and what must be true at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from muster.contracts.envelope import TaskRecord
from muster.ports import Record

from . import outcomes
from .broker import LANE, TOPICS, Broker
from .group import Group
from .leader import Lock
from .mover import INTAKE, Mover
from .mutations import Mutation
from .plan import TROUBLE, Notes, TaskPlan
from .projection import Projection
from .timeline import Process, Timeline
from .tracker import Tracker
from .worker import Worker, wants

TASKS, WORKERS, TRACKERS = 8, 3, 2
#: Whoever has not ended by then (seconds) is stuck.
PATIENCE = 400.0


@dataclass(frozen=True)
class Report:
    """What came of one schedule."""

    seed: int
    notes: Notes
    #: Of every record that landed, in order: two runs of one seed are equal.
    digest: str
    #: Simulated seconds.
    seconds: float


class Schedule:
    """The processes of one installation and what befalls them."""

    patience = PATIENCE

    def __init__(self, seed: int, mutation: Mutation | None = None) -> None:
        self._seed, self._mutation = seed, mutation
        self._timeline = Timeline(seed)
        self._notes = self._new_notes()
        self._broker = Broker(self._timeline)
        self._group = Group(self._timeline, self._broker.lanes)
        self._projection = self._new_projection()
        self._digest = hashlib.sha256()
        self._broker.listeners.append(self._landed)
        self._started = 0
        self._plans = {plan.task_id: plan for plan in map(self._draw, range(TASKS))}
        self._client = Process(self._timeline, "client")
        self._workers = [self._worker() for _ in range(WORKERS)]
        self._lock = Lock()
        self._trackers = [self._new_tracker() for _ in range(TRACKERS)]
        self._mover = self._new_mover()

    def run(self) -> Report:
        for plan in self._plans.values():
            self._submit(plan)
        self._timeline.after(self._timeline.random.uniform(0.1, 3.0), self._trouble)
        self._supervise()
        self._timeline.run(self.patience, self._finished)
        for task_id in self._plans:
            if not self._projection.ended(task_id):
                row = self._projection.fold.tasks.get(task_id)
                self._notes.broken.append(f"stuck: {task_id} stays {row.state if row else 'unseen'}")
        return Report(self._seed, self._notes, self._digest.hexdigest(), self._timeline.now)

    def _new_notes(self) -> Notes:
        return Notes()

    def _new_projection(self) -> Projection:
        return Projection(self._broker, self._notes)

    def _draw(self, number: int) -> TaskPlan:
        return TaskPlan.draw(number, self._timeline.random)

    def _submit(self, plan: TaskPlan) -> None:
        def send() -> None:
            now = self._client.wall()
            task = TaskRecord(task_id=plan.task_id, task_type="noop", body=b"{}", submitted_at=now)
            write: outcomes.Write = LANE, task.key, task.body, task.headers()
            if plan.countdown:
                due = now + timedelta(seconds=plan.countdown)
                later = TaskRecord(
                    task_id=plan.task_id, task_type="noop", body=b"{}", submitted_at=now, not_before=due, route=LANE
                )
                write = outcomes.delayed(later)
            self._broker.send(self._client, write)

        self._client.later(self._timeline.random.uniform(0.0, TROUBLE / 2), send)

    def _landed(self, record: Record) -> None:
        self._digest.update(repr((self._timeline.now, record.topic, record.offset, record.key, record.value)).encode())
        if wants(record):
            for worker in self._workers:
                worker.poke()
        elif record.topic in INTAKE:
            self._mover.take(record)
        elif record.topic == TOPICS.workers:
            for tracker in self._trackers:
                tracker.hear(record)

    def _finished(self) -> bool:
        return self._timeline.now > TROUBLE and all(map(self._projection.ended, self._plans))

    def _trouble(self) -> None:
        """One fault, and the next one later."""
        if self._timeline.now > TROUBLE:
            return
        faults: tuple[Callable[[], None], ...] = (
            self._kill_worker, self._kill_worker, self._freeze_worker, self._freeze_worker, self._drain_worker,
            self._group.rebalance, self._lose_tracker, self._lock.cut, self._lose_mover, self._turn_clock,
        )  # fmt: skip
        self._timeline.random.choice(faults)()
        self._timeline.after(self._timeline.random.uniform(0.1, 6.0), self._trouble)

    def _kill_worker(self) -> None:
        worker = self._any_worker()
        worker.die()
        self._notes.deaths += 1

    def _freeze_worker(self) -> None:
        """Longer than a lease now and then: a zombie, which others have taken over from."""
        worker = self._any_worker()
        worker.freeze(self._timeline.random.choice((1.0, 5.0, 10.0, 20.0)))
        self._notes.freezes += 1
        self._group.miss(worker)

    def _drain_worker(self) -> None:
        self._any_worker().drain()

    def _supervise(self) -> None:
        """Whoever ended, also by fencing itself, is followed by a new process."""
        if sum(worker.serving for worker in self._workers) < WORKERS:
            self._workers.append(self._worker())
        self._timeline.after(self._timeline.random.uniform(0.2, 2.0), self._supervise)

    def _any_worker(self) -> Worker:
        alive = [worker for worker in self._workers if worker.alive]
        return self._timeline.random.choice(alive or self._workers)

    def _lose_tracker(self) -> None:
        """Dead at once, or frozen; a frozen one may wake as a leader whose lock is another's."""
        tracker = self._timeline.random.choice(self._trackers)
        if self._timeline.random.random() < 0.5:
            tracker.freeze(self._timeline.random.choice((1.0, 8.0, 20.0)))
            self._notes.freezes += 1
            if self._timeline.random.random() < 0.5:
                self._lock.cut()
            return
        tracker.die()
        self._notes.deaths += 1
        self._timeline.after(1.0, self._start_trackers)

    def _lose_mover(self) -> None:
        """Dead, or frozen: in both cases another takes its records over, and the first may wake as a zombie."""
        if self._timeline.random.random() < 0.5:
            self._mover.freeze(self._timeline.random.choice((1.0, 8.0, 20.0)))
            self._notes.freezes += 1
        else:
            self._mover.die()
            self._notes.deaths += 1
        self._timeline.after(1.0, self._start_mover)

    def _turn_clock(self) -> None:
        alive = [process for process in (*self._workers, self._mover) if process.alive]
        self._timeline.random.choice(alive).clock_error += self._timeline.random.choice((-20.0, -0.3, 0.3, 20.0))

    def _worker(self) -> Worker:
        return Worker(
            self._timeline, self._name("worker"), self._broker, self._group, self._plans, self._notes, self._mutation
        )

    def _new_tracker(self) -> Tracker:
        return Tracker(
            self._timeline, self._name("tracker"), self._broker, self._group, self._projection, self._lock,
            self._notes, self._mutation,
        )  # fmt: skip

    def _new_mover(self) -> Mover:
        return Mover(self._timeline, self._name("mover"), self._broker, self._notes, self._mutation)

    def _start_trackers(self) -> None:
        self._trackers = [tracker if tracker.alive else self._new_tracker() for tracker in self._trackers]

    def _start_mover(self) -> None:
        self._mover = self._new_mover()

    def _name(self, service: str) -> str:
        self._started += 1
        return f"{service}-{self._started}"


def run_schedule(seed: int, mutation: Mutation | None = None) -> Report:
    return Schedule(seed, mutation).run()
