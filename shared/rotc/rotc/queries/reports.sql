-- name: report_settings
-- What reports are headed with, and the rules grades are computed by.
SELECT key, value FROM system_settings WHERE key IN ('current_battalion', 'school_year', 'semester', 'grading_rules');

-- name: training_day_count
-- How many training days there were in all: what attendance is measured against.
SELECT count(*) FROM training_days;

-- name: graded_cadets
-- Every cadet of a filter ($1 company, $2 platoon, $3 part of a name or student id; NULL: any) as grades need them.
SELECT c.student_id, c.first_name, c.last_name, c.middle_name, c.suffix_name, c.company, c.platoon, c.status,
       coalesce(g.attendance_present, 0) AS attendance_present, coalesce(g.merit_points, 0) AS merit_points,
       coalesce(g.demerit_points, 0) AS demerit_points, g.prelim_score, g.midterm_score, g.final_score
FROM cadets c
LEFT JOIN grades g ON g.cadet_id = c.id
WHERE NOT c.is_archived
  AND ($1::text IS NULL OR c.company = $1)
  AND ($2::text IS NULL OR c.platoon = $2)
  AND ($3::text IS NULL
       OR position(lower($3) IN lower(concat_ws(' ', c.student_id, c.first_name, c.last_name, c.first_name))) > 0)
ORDER BY c.company NULLS LAST, c.platoon NULLS LAST, c.last_name, c.first_name, c.id;

-- name: cadet_profile
-- Everything a profile shows of one cadet, archived or not, with what the grade is computed from.
SELECT c.*, coalesce(g.attendance_present, 0) AS attendance_present, coalesce(g.merit_points, 0) AS merit_points,
       coalesce(g.demerit_points, 0) AS demerit_points, g.prelim_score, g.midterm_score, g.final_score
FROM cadets c
LEFT JOIN grades g ON g.cadet_id = c.id
WHERE c.id = $1;

-- name: attended_days
-- The training days that are recorded of one cadet, in their order.
SELECT d.date, d.title, r.status
FROM attendance_records r
JOIN training_days d ON d.id = r.training_day_id
WHERE r.cadet_id = $1
ORDER BY d.date, d.id;

-- name: attendance_per_day
-- Counts per training day ($1 first date, $2 last date, $3 company, $4 platoon; NULL: any), days without records too.
SELECT d.id, d.date, d.title,
       count(*) FILTER (WHERE r.status = 'present') AS present, count(*) FILTER (WHERE r.status = 'late') AS late,
       count(*) FILTER (WHERE r.status = 'excused') AS excused, count(*) FILTER (WHERE r.status = 'absent') AS absent
FROM training_days d
LEFT JOIN (
    SELECT a.training_day_id, a.status
    FROM attendance_records a
    JOIN cadets c ON c.id = a.cadet_id
    WHERE NOT c.is_archived AND ($3::text IS NULL OR c.company = $3) AND ($4::text IS NULL OR c.platoon = $4)
) r ON r.training_day_id = d.id
WHERE ($1::date IS NULL OR d.date >= $1) AND ($2::date IS NULL OR d.date <= $2)
GROUP BY d.id
ORDER BY d.date, d.id;

-- name: attendance_per_cadet
-- Counts per cadet over the same days and the same cadets, those without a record left out.
SELECT c.student_id, c.first_name, c.last_name, c.middle_name, c.suffix_name, c.company, c.platoon,
       count(*) FILTER (WHERE r.status = 'present') AS present, count(*) FILTER (WHERE r.status = 'late') AS late,
       count(*) FILTER (WHERE r.status = 'excused') AS excused, count(*) FILTER (WHERE r.status = 'absent') AS absent
FROM attendance_records r
JOIN training_days d ON d.id = r.training_day_id
JOIN cadets c ON c.id = r.cadet_id
WHERE NOT c.is_archived
  AND ($1::date IS NULL OR d.date >= $1) AND ($2::date IS NULL OR d.date <= $2)
  AND ($3::text IS NULL OR c.company = $3) AND ($4::text IS NULL OR c.platoon = $4)
GROUP BY c.id
ORDER BY c.company NULLS LAST, c.platoon NULLS LAST, c.last_name, c.first_name, c.id;

-- name: activity
-- What a certificate says of an activity.
SELECT id, title, description, date FROM activities WHERE id = $1;
