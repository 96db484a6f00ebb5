-- name: lock_schema
-- One at a time.
SELECT pg_advisory_xact_lock($1);

-- name: create_schema
-- Where everything lies that the backend does not know of.
CREATE SCHEMA IF NOT EXISTS muster;

-- name: create_table
-- What each verification code stands for.
CREATE TABLE IF NOT EXISTS muster.certificates (
    code           text PRIMARY KEY,
    activity_id    integer NOT NULL,
    activity_title text NOT NULL,
    activity_date  date NOT NULL,
    cadet_name     text NOT NULL,
    issued_at      timestamptz NOT NULL DEFAULT now()
);

-- name: remember
-- One certificate; the same one again changes nothing.
INSERT INTO muster.certificates (code, activity_id, activity_title, activity_date, cadet_name)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (code) DO NOTHING;

-- name: find
-- By its primary key.
SELECT activity_id, activity_title, activity_date, cadet_name, issued_at FROM muster.certificates WHERE code = $1;
