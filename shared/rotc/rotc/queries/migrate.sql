-- name: lock
-- Lets one runner at a time through, until its transaction ends; the number is this project's, chosen once.
SELECT pg_advisory_xact_lock(7283461905);

-- name: schema_exists
-- Asked first, since creating a schema needs a right that a user of an existing one may lack.
SELECT to_regnamespace('muster') IS NOT NULL;

-- name: create_schema
-- The schema of everything that is not the backend's.
CREATE SCHEMA IF NOT EXISTS muster;

-- name: create_history
-- Which migrations were applied, and what their files said then.
CREATE TABLE IF NOT EXISTS muster.rotc_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamp with time zone NOT NULL
);

-- name: history
-- The migrations applied so far.
SELECT name, checksum FROM muster.rotc_migrations ORDER BY name;

-- name: record
-- Remembers a migration as applied.
INSERT INTO muster.rotc_migrations (name, checksum, applied_at) VALUES ($1, $2, now());

-- name: tables_present
-- Which of these tables exist, wherever the search path finds them.
SELECT name FROM unnest($1::text[]) AS wanted (name) WHERE to_regclass(wanted.name) IS NOT NULL ORDER BY name;

-- name: django_database
-- Whether Django migrates this database.
SELECT to_regclass('django_migrations') IS NOT NULL;

-- name: give_up_waiting
-- A waiting ALTER TABLE keeps every later reader of the table waiting too: better to fail than to stop a live system.
SET LOCAL lock_timeout = '5s';

-- name: use_public_schema
-- A user who is called muster would else get the tables in the schema muster, where nobody else looks for them.
SET LOCAL search_path = public;
