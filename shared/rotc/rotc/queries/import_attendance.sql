-- name: stage_attendance
-- Where rows of attendance wait; gone with the transaction. `was` is the status before the import.
CREATE TEMPORARY TABLE import_stage (
    number integer, student_id text, training_day_id integer, status text, time_in time, time_out time,
    cadet_id integer, was text, record_id integer, outcome text
) ON COMMIT DROP;

-- name: lock_attendance
-- Nobody else changes these records meanwhile. The grades that count them are locked after them, as the backend does.
WITH locked AS MATERIALIZED (
    SELECT r.id FROM attendance_records AS r
    JOIN import_stage AS s ON s.training_day_id = r.training_day_id AND s.cadet_id = r.cadet_id
    ORDER BY r.id FOR UPDATE OF r
)
SELECT count(*) FROM locked;

-- name: match_attendance
-- Which rows mean a record that exists, and what it says.
UPDATE import_stage AS s SET record_id = r.id, was = r.status
FROM attendance_records AS r
WHERE r.training_day_id = s.training_day_id AND r.cadet_id = s.cadet_id;

-- name: refuse_days_nobody_knows
-- Attendance makes no training day.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'training_day_id', 'unknown', 'is the id of no training day'
FROM import_stage AS s
WHERE NOT EXISTS (SELECT FROM training_days AS d WHERE d.id = s.training_day_id);

-- name: refuse_without_status
-- A new record has a status.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'status', 'required', 'is missing, and there is no record of that day yet'
FROM import_stage AS s
WHERE s.record_id IS NULL AND s.status IS NULL;

-- name: refuse_backward_times
-- Nobody leaves before he comes.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'time_out', 'out_of_range', 'lies before time_in'
FROM import_stage AS s
LEFT JOIN attendance_records AS r ON r.id = s.record_id
WHERE COALESCE(s.time_out, r.time_out) < COALESCE(s.time_in, r.time_in) AND num_nonnulls(s.time_in, s.time_out) > 0;

-- name: refuse_existing_attendance
-- Under the strategy `error` a record that exists is a fault of the row.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'exists', 'has a record of that training day already'
FROM import_stage AS s
WHERE s.record_id IS NOT NULL;

-- name: plan_attendance_updates
-- What a row does not say stays as it is; records that would not change are left alone.
UPDATE import_stage AS s
SET outcome = CASE WHEN (r.status, r.time_in, r.time_out) IS DISTINCT FROM (
        COALESCE(s.status, r.status), COALESCE(s.time_in, r.time_in), COALESCE(s.time_out, r.time_out)
    ) THEN 'update' ELSE 'skip' END
FROM attendance_records AS r
WHERE s.outcome IS NULL AND r.id = s.record_id;

-- name: create_attendance
-- The new records, in the order of the rows. One that somebody else made meanwhile gets no id here.
WITH made AS (
    INSERT INTO attendance_records (training_day_id, cadet_id, status, time_in, time_out, created_at)
    SELECT s.training_day_id, s.cadet_id, s.status, s.time_in, s.time_out, now()
    FROM import_stage AS s
    WHERE s.outcome = 'create'
    ORDER BY s.number
    ON CONFLICT (training_day_id, cadet_id) DO NOTHING
    RETURNING id, training_day_id, cadet_id
)
UPDATE import_stage AS s SET record_id = made.id
FROM made
WHERE s.training_day_id = made.training_day_id AND s.cadet_id = made.cadet_id;

-- name: refuse_taken_attendance
-- The backend made the same record in the meantime.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'conflict', 'was recorded by somebody else during the import: import the row again'
FROM import_stage AS s
WHERE s.outcome = 'create' AND s.record_id IS NULL;

-- name: update_attendance
-- Writes the records that become different.
UPDATE attendance_records AS r
SET status = COALESCE(s.status, r.status), time_in = COALESCE(s.time_in, r.time_in),
    time_out = COALESCE(s.time_out, r.time_out)
FROM import_stage AS s
WHERE s.outcome = 'update' AND r.id = s.record_id;

-- name: audit_attendance
-- One row for every record that was made or changed, with the person who did it. $1: users.id.
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'attendance_records', upper(s.outcome), r.id, $1, to_jsonb(r), now()
FROM import_stage AS s
JOIN attendance_records AS r ON r.id = s.record_id
WHERE s.outcome IN ('create', 'update')
ORDER BY s.number;

-- name: count_attendance
-- Who came or no longer came counts in the grades, once however many days the file has; with audit rows. $1: users.id.
WITH changed AS (
    SELECT s.cadet_id, sum((r.status = 'present')::integer - coalesce(s.was = 'present', false)::integer) AS days
    FROM import_stage AS s
    JOIN attendance_records AS r ON r.id = s.record_id
    WHERE s.outcome IN ('create', 'update')
    GROUP BY s.cadet_id
), counted AS (
    UPDATE grades AS g SET attendance_present = greatest(0, g.attendance_present + changed.days)
    FROM changed
    WHERE g.cadet_id = changed.cadet_id AND changed.days <> 0
    RETURNING g.*
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'grades', 'UPDATE', counted.id, $1, to_jsonb(counted), now() FROM counted;

-- name: tell_of_attendance
-- What the app polls, as the backend writes it: one for every record that made somebody present, or no longer so.
INSERT INTO sync_events (event_type, cadet_id, payload, processed, created_at)
SELECT
    'attendance_update', r.cadet_id,
    jsonb_build_object(
        'training_day_id', r.training_day_id, 'status', r.status, 'attendance_present', g.attendance_present,
        'time_in', r.time_in, 'time_out', r.time_out),
    false, now()
FROM import_stage AS s
JOIN attendance_records AS r ON r.id = s.record_id
JOIN grades AS g ON g.cadet_id = r.cadet_id
WHERE s.outcome IN ('create', 'update') AND (r.status = 'present') <> coalesce(s.was = 'present', false)
ORDER BY s.number;
