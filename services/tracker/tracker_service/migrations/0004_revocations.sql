-- What it takes to know when a revocation has done its work, and revocations by rule.

ALTER TABLE muster.revocations ADD COLUMN redrive smallint NOT NULL DEFAULT 0;
-- The orders in force, which the leader looks through; withdrawn ones stay only to tell a late repeat.
CREATE INDEX revocations_standing ON muster.revocations (task_id) WHERE requested_at IS NOT NULL;

CREATE TABLE muster.revocation_rules (
    rule_id      text COLLATE "C" PRIMARY KEY,
    seq          bigint NOT NULL,
    -- NULL: withdrawn, since each of its tasks is ordered back by id.
    requested_at timestamptz,
    task_type    text,
    submitter    bigint,
    state        text,
    terminate    boolean NOT NULL,
    asked_by     bigint,
    reason       text NOT NULL
);

-- Records of revoked tasks that a worker had in hand: a revocation stays until the group has committed past one.
CREATE TABLE muster.revoked_records (
    task_id      text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    "partition"  integer NOT NULL,
    "offset"     bigint NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (task_id, topic, "partition", "offset")
);
