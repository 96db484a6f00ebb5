-- The waiting room (docs/decisions/0006-turns.md): tasks before their turn, and task types that are paused. As far as it
-- concerns facts it can be dropped and folded again from Kafka, like the rest.

CREATE TABLE muster.turns (
    task_id     text COLLATE "C" NOT NULL,
    redrive     smallint NOT NULL,
    -- An order key, or the one task that has none.
    queue       text COLLATE "C" NOT NULL,
    task_type   text NOT NULL,
    -- 2n: waits after n calls; 2n - 1: called for the nth time.
    stage       integer NOT NULL,
    attempt     smallint NOT NULL,
    delivery    smallint NOT NULL,
    came_at     timestamptz NOT NULL,
    -- The call is known to be in Kafka.
    sent        boolean NOT NULL,
    expires_at  timestamptz,
    -- The lane record that a worker took for it; NULL once nobody can be handed that again.
    "left"      text,
    -- First place at the door, NULL while only a call of it was seen.
    "offset"    bigint,
    "partition" integer,
    headers     bytea,
    body        bytea,
    PRIMARY KEY (task_id, redrive)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX turns_queue ON muster.turns (queue, "offset", "partition");
CREATE INDEX turns_called ON muster.turns (queue) WHERE stage % 2 = 1;
CREATE INDEX turns_unsent ON muster.turns (task_id) WHERE stage % 2 = 1 AND NOT sent;
CREATE INDEX turns_expiry ON muster.turns (expires_at) WHERE expires_at IS NOT NULL AND stage % 2 = 0;
CREATE INDEX turns_uncleared ON muster.turns (came_at) WHERE "left" IS NOT NULL AND stage % 2 = 0;
CREATE INDEX turns_type ON muster.turns (task_type);

-- Queues in which something changed: the leader looks at these and at no others.
CREATE TABLE muster.turns_due (
    queue  text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE muster.pauses (
    task_type text COLLATE "C" PRIMARY KEY,
    seq       bigint NOT NULL,
    -- NULL: resumed; the row stays, so that an older pause cannot come back.
    paused_at timestamptz,
    asked_by  bigint
);
