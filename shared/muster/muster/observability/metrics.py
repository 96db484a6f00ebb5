"""Every metric of every service, declared once with its help text and labels. Serving them is observability/server.py.

Labels are bounded: services, task types, lanes, outcomes. Never a task id.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

# One series more for every counter, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # published without a type
REGISTRY = CollectorRegistry()
# Memory, CPU and open files of the process.
ProcessCollector(registry=REGISTRY)

#: 5 ms no-ops up to 30 min reports.
RUNTIME_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800)
#: 5 ms idle waits up to hours behind a backlog.
WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 7200)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"muster_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"muster_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"muster_{name}", text, labels, buckets=buckets, registry=REGISTRY)


BUILD = Info("muster_build", "Version of the running code.", registry=REGISTRY)

# Every process that has signing keys
UNAUTHENTICATED = _counter("records_unauthenticated", "Records not believed, since nobody vouches for them.", "topic")
UNSIGNED_ACCEPTED = _counter("records_unsigned_accepted", "Records believed without a signature.", "topic")

# Workers
TASKS_STARTED = _counter("tasks_started", "Deliveries that began to run.", "service", "task_type")
TASKS_SETTLED = _counter("tasks_settled", "Deliveries that ended, by outcome.", "service", "task_type", "outcome")
TASK_RUNTIME = _histogram("task_runtime_seconds", "Run time of one delivery.", RUNTIME_BUCKETS, "service", "task_type")
TASK_WAIT = _histogram(
    "task_wait_seconds", "From lane to start, planned delays excluded.", WAIT_BUCKETS, "service", "lane"
)
SLOTS = _gauge("worker_slots", "Tasks this worker can run at once.", "service")
ORDERS = _gauge("worker_orders", "Revocations in force that this worker holds in memory.", "service")
RUNNING = _gauge("worker_running", "Tasks this worker runs now.", "service")
COMMITS_REFUSED = _counter("commits_refused", "Acceptances refused because the group had moved on.", "service")
REBALANCES = _counter("rebalances", "Times the group gave this worker a new assignment.", "service")
BEAT_AGE = _gauge("beat_age_seconds", "Since the last acknowledged heartbeat.", "service")
HANDED_BACK = _counter("tasks_handed_back", "Tasks given back unfinished by a draining worker.", "service")
HANDED_OVER = _counter("tasks_handed_over", "Tasks that a full worker passed on to an idle one.", "service")

# Tracker
PROJECTED = _counter("records_projected", "Records folded into PostgreSQL.", "topic")
PROJECTION_LAG = _gauge("projection_lag_seconds", "Age of the newest record folded while others wait; 0 when none do.")
PROJECTION_LAG_RECORDS = _gauge("projection_lag_records", "Records not folded yet.")
BATCH_SECONDS = _histogram("projection_batch_seconds", "Time to fold one batch.", RUNTIME_BUCKETS)
UNREADABLE = _counter("records_unreadable", "Records skipped because they are no events.", "topic")
REDELIVERED = _counter("tasks_redelivered", "Tasks of dead workers run again.", "service")
TURNS_CALLED = _counter("turns_called", "Tasks called out of the waiting room, into their lane.", "service")
WORKERS_LOST = _counter("workers_lost", "Workers declared dead.", "service")
WORKERS_ALIVE = _gauge("workers_alive", "Workers whose heartbeat is fresh.", "service")
HTTP_SECONDS = _histogram("http_request_seconds", "API requests.", WAIT_BUCKETS, "method", "route", "status")

PAYLOADS_REMOVED = _counter("payloads_removed", "Payloads of the claim check removed as garbage.")

# Scheduler
DELAY_HOPS = _counter("delay_hops", "Records moved between retry topics.", "topic")
DELAY_WAITING = _gauge(
    "delay_waiting", "Records that wait in memory, uncommitted, for about a second at most.", "shard"
)
DELAY_LATENESS = _histogram("delay_lateness_seconds", "Release after the due time.", WAIT_BUCKETS)
SCHEDULES = _gauge("schedules", "Schedules this process fires; 0 where another one does.")
SCHEDULE_FIRES = _counter("schedule_fires", "Tasks started by a schedule.", "schedule")
SCHEDULE_PASSED = _counter("schedule_instants_passed", "Instants missed and not fired.", "schedule")
SCHEDULE_LAST = _gauge("schedule_last_fire_timestamp_seconds", "Instant last fired.", "schedule")
SCHEDULE_LATENESS = _histogram("schedule_lateness_seconds", "Fire after its instant.", WAIT_BUCKETS)

# Alerts
ALERTS = _counter("alerts", "Alerts made, by what they are: first, digest, regression, escalation, silence.", "kind")
ALERT_LETTERS = _counter("alert_letters", "Dead letters counted by the alerts.")
ALERT_LAG = _gauge("alert_lag_records", "Dead letters that the alerts have not read yet.")
ALERT_LAST_TURN = _gauge(
    "alert_last_turn_timestamp_seconds", "When dead letters were last looked for, and all went well."
)
ALERT_DELIVERIES = _counter("alert_deliveries", "Attempts to deliver alerts, by outcome.", "channel", "outcome")
ALERT_DELIVERIES_OPEN = _gauge("alert_deliveries_open", "Deliveries that wait, in the whole installation.")
ALERT_LAST_DELIVERY = _gauge("alert_last_delivery_timestamp_seconds", "When an alert was last delivered.", "channel")
PIPELINE_SILENT = _gauge("pipeline_silent_seconds", "Since when a part of the pipeline is not heard; 0: it is.", "part")
