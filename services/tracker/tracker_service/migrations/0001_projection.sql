-- What the topics say, folded: one row per task, and what is known of its attempts. Everything here can be dropped
-- and folded again from Kafka. Text that is compared byte by byte is COLLATE "C": no collation cost in the indexes.

CREATE TABLE muster.tasks (
    task_id         text COLLATE "C" PRIMARY KEY,
    task_type       text NOT NULL,
    service         text,
    lane            text,
    state           text COLLATE "C" NOT NULL,
    -- redrive, terminal, attempt, delivery, started: the lattice of contracts/states.py packed into one number.
    rank            bigint NOT NULL,
    changed_at      timestamptz NOT NULL,
    redrive         smallint NOT NULL,
    attempt         smallint NOT NULL,
    delivery        smallint NOT NULL,
    worker          text,
    started_at      timestamptz,
    finished_at     timestamptz,
    next_attempt_at timestamptz,
    submitted_at    timestamptz,
    expires_at      timestamptz,
    submitter       bigint,
    root            text,
    parent          text,
    group_id        text,
    -- JSON as text: jsonb would refuse \u0000 and cost a parse at every write.
    result          text,
    -- Why it failed or was taken back, where its dead letter lies.
    detail          text,
    -- Redacted; NULL when larger than 4 KiB.
    parameters      text,
    parameters_bytes integer
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- New tasks append at its right edge, which costs little. It serves the list and the windows of the statistics.
CREATE INDEX tasks_submitted ON muster.tasks (submitted_at);
-- Under load a row is often written once, as SUCCESS, and never enters this index.
CREATE INDEX tasks_unfinished ON muster.tasks (state, submitted_at) WHERE state <> 'SUCCESS';
CREATE INDEX tasks_parent ON muster.tasks (parent) WHERE parent IS NOT NULL;
CREATE INDEX tasks_submitter ON muster.tasks (submitter, submitted_at) WHERE submitter IS NOT NULL;

-- One row per STARTED that its own worker has not ended: running now, abandoned, handed back, or lost with its worker.
CREATE TABLE muster.claims (
    task_id      text COLLATE "C" NOT NULL,
    redrive      smallint NOT NULL,
    attempt      smallint NOT NULL,
    delivery     smallint NOT NULL,
    worker       text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    "partition"  integer NOT NULL,
    "offset"     bigint NOT NULL,
    rank         bigint NOT NULL,
    started_at   timestamptz NOT NULL,
    abandoned    boolean NOT NULL,
    -- Offset of the event: one worker's events of one task are in one partition, so the larger is the later.
    seq          bigint NOT NULL,
    -- False once recovery has seen that the task went on: only then nobody needs to look at it again.
    open         boolean NOT NULL DEFAULT true,
    PRIMARY KEY (task_id, redrive, attempt, delivery, worker, topic, "partition", "offset")
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX claims_open ON muster.claims (worker) WHERE open;

-- Attempts that failed and were followed by another one. How the last one ended stands in muster.tasks.
CREATE TABLE muster.attempts (
    task_id    text COLLATE "C" NOT NULL,
    redrive    smallint NOT NULL,
    attempt    smallint NOT NULL,
    worker     text COLLATE "C" NOT NULL,
    started_at timestamptz,
    ended_at   timestamptz NOT NULL,
    failure    text NOT NULL,
    PRIMARY KEY (task_id, redrive, attempt)
);

CREATE TABLE muster.progress (
    task_id text COLLATE "C" PRIMARY KEY,
    rank    bigint NOT NULL,
    at      timestamptz NOT NULL,
    done    double precision NOT NULL,
    total   double precision,
    message text NOT NULL
) WITH (fillfactor = 70);

-- Where the fold stands. Written in the transaction of what was folded, and compared there: two trackers cannot both
-- fold the same records.
CREATE TABLE muster.offsets (
    topic       text COLLATE "C" NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, "partition")
) WITH (fillfactor = 20);

CREATE TABLE muster.workers (
    worker     text COLLATE "C" PRIMARY KEY,
    service    text NOT NULL,
    seq        bigint NOT NULL,
    at         timestamptz NOT NULL,
    host       text NOT NULL,
    version    text NOT NULL,
    slots      integer NOT NULL,
    running    integer NOT NULL,
    started_at timestamptz,
    rss_bytes  bigint NOT NULL,
    leaving    boolean NOT NULL,
    tasks      text[] NOT NULL,
    partitions text[] NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE muster.catalog (
    task_type   text COLLATE "C" PRIMARY KEY,
    seq         bigint NOT NULL,
    -- NULL: withdrawn (a tombstone); the row stays, so that an older announcement cannot bring it back.
    description text
);

CREATE TABLE muster.revocations (
    task_id      text COLLATE "C" PRIMARY KEY,
    seq          bigint NOT NULL,
    -- NULL: the order was withdrawn (a tombstone).
    requested_at timestamptz,
    terminate    boolean NOT NULL,
    asked_by     bigint,
    reason       text NOT NULL
);
