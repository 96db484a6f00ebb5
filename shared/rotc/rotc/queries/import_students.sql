-- name: match_students_of_rows
-- Whose grades or attendance the rows are.
UPDATE import_stage AS s SET cadet_id = c.id FROM cadets AS c WHERE c.student_id = s.student_id;

-- name: refuse_unknown_students
-- Neither grades nor attendance make a cadet.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'unknown', 'is the id of no cadet' FROM import_stage AS s WHERE s.cadet_id IS NULL;

-- name: make_missing_grades
-- Grades of cadets who lost theirs, or never had any; with their audit rows. $1: users.id.
WITH made AS (
    INSERT INTO grades (cadet_id, attendance_present, merit_points, demerit_points)
    SELECT DISTINCT s.cadet_id, 0, 0, 0 FROM import_stage AS s WHERE s.outcome IN ('create', 'update')
    ORDER BY s.cadet_id
    ON CONFLICT (cadet_id) DO NOTHING
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'grades', 'CREATE', made.id, $1, to_jsonb(made), now() FROM made;
