-- name: stage_grades
-- Where rows of grades wait; gone with the transaction. `record_id` is that of grades which hold something already.
CREATE TEMPORARY TABLE import_stage (
    number integer, student_id text, attendance_present integer, merit_points integer, demerit_points integer,
    prelim_score double precision, midterm_score double precision, final_score double precision,
    cadet_id integer, record_id integer, outcome text
) ON COMMIT DROP;

-- name: match_grades
-- Every cadet has a row of grades from the start; one in which nothing was ever entered counts as none.
UPDATE import_stage AS s SET record_id = g.id
FROM grades AS g
WHERE g.cadet_id = s.cadet_id
  AND ((g.attendance_present, g.merit_points, g.demerit_points) <> (0, 0, 0)
       OR num_nonnulls(g.prelim_score, g.midterm_score, g.final_score) > 0);

-- name: lock_grades
-- Nobody else changes these grades while they are compared and written; in one order, so that nobody waits crosswise.
WITH locked AS MATERIALIZED (
    SELECT g.id FROM grades AS g WHERE g.cadet_id IN (SELECT cadet_id FROM import_stage) ORDER BY g.cadet_id FOR UPDATE
)
SELECT count(*) FROM locked;

-- name: refuse_rows_without_grades
-- A row that names a cadet and says nothing is a mistake in the file.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, '(row)', 'empty', 'holds no grade'
FROM import_stage AS s
WHERE num_nonnulls(
    s.attendance_present, s.merit_points, s.demerit_points, s.prelim_score, s.midterm_score, s.final_score) = 0;

-- name: refuse_existing_grades
-- Under the strategy `error`, grades that were entered already are a fault of the row.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'exists', 'has grades already' FROM import_stage AS s WHERE s.record_id IS NOT NULL;

-- name: plan_grade_updates
-- What a row does not say stays as it is; grades that would not change are left alone.
UPDATE import_stage AS s
SET outcome = CASE WHEN (
        g.attendance_present, g.merit_points, g.demerit_points, g.prelim_score, g.midterm_score, g.final_score
    ) IS DISTINCT FROM (
        COALESCE(s.attendance_present, g.attendance_present), COALESCE(s.merit_points, g.merit_points),
        COALESCE(s.demerit_points, g.demerit_points), COALESCE(s.prelim_score, g.prelim_score),
        COALESCE(s.midterm_score, g.midterm_score), COALESCE(s.final_score, g.final_score)
    ) THEN 'update' ELSE 'skip' END
FROM grades AS g
WHERE s.outcome IS NULL AND g.id = s.record_id;

-- name: tell_of_scores
-- What the app polls, as the backend writes it: the scores after the import, and those that it changes.
INSERT INTO sync_events (event_type, cadet_id, payload, processed, created_at)
SELECT
    'exam_score_update', g.cadet_id,
    jsonb_build_object(
        'prelim_score', COALESCE(s.prelim_score, g.prelim_score),
        'midterm_score', COALESCE(s.midterm_score, g.midterm_score),
        'final_score', COALESCE(s.final_score, g.final_score),
        'changed_scores', jsonb_strip_nulls(jsonb_build_object(
            'prelim_score', CASE WHEN s.prelim_score IS DISTINCT FROM g.prelim_score THEN s.prelim_score END,
            'midterm_score', CASE WHEN s.midterm_score IS DISTINCT FROM g.midterm_score THEN s.midterm_score END,
            'final_score', CASE WHEN s.final_score IS DISTINCT FROM g.final_score THEN s.final_score END))),
    false, now()
FROM import_stage AS s
JOIN grades AS g ON g.cadet_id = s.cadet_id
WHERE s.outcome IN ('create', 'update')
  AND (g.prelim_score, g.midterm_score, g.final_score) IS DISTINCT FROM (
      COALESCE(s.prelim_score, g.prelim_score), COALESCE(s.midterm_score, g.midterm_score),
      COALESCE(s.final_score, g.final_score))
ORDER BY s.number;

-- name: write_grades
-- Enters them, and says which row of grades each row of the file became.
WITH written AS (
    UPDATE grades AS g
    SET attendance_present = COALESCE(s.attendance_present, g.attendance_present),
        merit_points = COALESCE(s.merit_points, g.merit_points),
        demerit_points = COALESCE(s.demerit_points, g.demerit_points),
        prelim_score = COALESCE(s.prelim_score, g.prelim_score),
        midterm_score = COALESCE(s.midterm_score, g.midterm_score),
        final_score = COALESCE(s.final_score, g.final_score)
    FROM import_stage AS s
    WHERE s.outcome IN ('create', 'update') AND g.cadet_id = s.cadet_id
    RETURNING g.id, g.cadet_id
)
UPDATE import_stage AS s SET record_id = written.id
FROM written
WHERE s.cadet_id = written.cadet_id AND s.outcome IN ('create', 'update');

-- name: audit_grades
-- One row for all grades that were entered, with the person who did it. $1: users.id.
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'grades', 'UPDATE', g.id, $1, to_jsonb(g), now()
FROM import_stage AS s
JOIN grades AS g ON g.id = s.record_id
WHERE s.outcome IN ('create', 'update')
ORDER BY s.number;
