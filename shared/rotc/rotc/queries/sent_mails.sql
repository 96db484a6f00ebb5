-- name: lock_schema
-- One at a time.
SELECT pg_advisory_xact_lock($1);

-- name: create_schema
-- Where everything lies that the backend does not know of.
CREATE SCHEMA IF NOT EXISTS muster;

-- name: create_table
-- One row for each mail that came to an end.
CREATE TABLE IF NOT EXISTS muster.mails (
    task_id   text NOT NULL,
    recipient text NOT NULL,
    state     text NOT NULL CHECK (state IN ('sent', 'refused', 'skipped')),
    code      integer,
    reason    text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task_id, recipient)
);

-- name: outcomes
-- What is over.
SELECT recipient, state, code, reason FROM muster.mails WHERE task_id = $1;

-- name: record
-- The first word counts.
INSERT INTO muster.mails (task_id, recipient, state, code, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (task_id, recipient) DO NOTHING;

-- name: forget_old
-- One batch; the table is read through for it, once a night.
WITH old AS (
    SELECT task_id, recipient FROM muster.mails WHERE at < now() - make_interval(days => $1) LIMIT $2
), gone AS (
    DELETE FROM muster.mails m USING old WHERE m.task_id = old.task_id AND m.recipient = old.recipient RETURNING 1
)
SELECT count(*) FROM gone;
