-- name: lock
-- Lets one loader at a time through, until its transaction ends.
SELECT pg_advisory_xact_lock(7283461906);

-- name: marker_exists
-- Whether demo data was ever loaded here.
SELECT to_regclass('muster.rotc_demo') IS NOT NULL;

-- name: create_marker
-- Remembers that the data is invented, and which it is.
CREATE TABLE IF NOT EXISTS muster.rotc_demo (seed bigint NOT NULL, cadets integer NOT NULL, rows json NOT NULL);

-- name: marker
-- The demo data that is loaded.
SELECT seed, cadets, rows FROM muster.rotc_demo;

-- name: record
-- Marks the database as holding this demo data.
INSERT INTO muster.rotc_demo (seed, cadets, rows) VALUES ($1, $2, $3::text::json);

-- name: occupied_tables
-- Which of the tables the demo fills hold rows already.
SELECT 'cadets' AS name WHERE EXISTS (SELECT FROM cadets)
UNION ALL SELECT 'training_staff' WHERE EXISTS (SELECT FROM training_staff)
UNION ALL SELECT 'users' WHERE EXISTS (SELECT FROM users)
UNION ALL SELECT 'training_days' WHERE EXISTS (SELECT FROM training_days)
UNION ALL SELECT 'activities' WHERE EXISTS (SELECT FROM activities);

-- name: move_sequence
-- Rows with ids of our choosing leave the table's sequence behind: the next row must not collide with them.
SELECT setval(pg_get_serial_sequence($1, 'id'), $2);
