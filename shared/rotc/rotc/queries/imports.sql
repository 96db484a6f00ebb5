-- name: lock
-- Imports go one after the other: two that bring the same records would wait for each other's rows crosswise.
SELECT pg_advisory_xact_lock(7283461907);

-- name: create_errors
-- Why rows were refused, all of them; gone with the transaction.
CREATE TEMPORARY TABLE import_errors (number integer, field text, code text, message text) ON COMMIT DROP;

-- name: analyze
-- Nobody analyses a temporary table by himself, and merges of many rows need to know that they are many.
ANALYZE import_stage, import_errors;

-- name: refuse
-- Rows that a step has found at fault are left out by the next ones.
UPDATE import_stage AS s SET outcome = 'refused'
FROM import_errors AS e
WHERE e.number = s.number AND s.outcome IS DISTINCT FROM 'refused';

-- name: plan_create
-- What is left and means no record makes a new one.
UPDATE import_stage SET outcome = 'create' WHERE outcome IS NULL AND record_id IS NULL;

-- name: plan_skip
-- Records that exist stay as they are.
UPDATE import_stage SET outcome = 'skip' WHERE outcome IS NULL AND record_id IS NOT NULL;

-- name: check_references
-- The backend's foreign keys are checked at the commit, where it is too late to say what was wrong: now, instead.
SET CONSTRAINTS ALL IMMEDIATE;

-- name: counts
-- How many rows came to which end.
SELECT outcome, count(*) AS rows FROM import_stage GROUP BY outcome;

-- name: error_counts
-- How many rows were refused, and for how many reasons.
SELECT count(DISTINCT number) AS rows, count(*) AS problems FROM import_errors;

-- name: errors
-- The first reasons, in the order of the rows.
SELECT number, field, code, message FROM import_errors ORDER BY number, field, code LIMIT $1;

-- name: ids
-- Records of the first rows that came to this end, in the order of the rows.
SELECT record_id FROM import_stage WHERE outcome = $1 ORDER BY number LIMIT $2;

-- name: audit_import
-- An import as a whole, as reports are noted: who, which task, how many rows; nothing of what stood in them.
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
VALUES ('imports', 'CREATE', 0, $1, $2, now());
