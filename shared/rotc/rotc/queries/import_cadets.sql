-- name: stage_cadets
-- Where the rows of an import of cadets wait; gone with the transaction.
CREATE TEMPORARY TABLE import_stage (
    number integer, student_id text, first_name text, last_name text, middle_name text, suffix_name text,
    company text, platoon text, course text, year_level integer, status text, contact_number text, email text,
    birthdate date, birthplace text, age integer, height text, weight text, blood_type text, address text,
    civil_status text, nationality text, gender text, language_spoken text, combat_boots_size text, uniform_size text,
    bullcap_size text, facebook_link text, rotc_unit text, mobilization_center text,
    record_id integer, outcome text
) ON COMMIT DROP;

-- name: stage_cadet_changes
-- Where changes of cadets wait: `given` names the columns that are to be written, also with null.
CREATE TEMPORARY TABLE import_stage (
    number integer, cadet_id integer, first_name text, last_name text, middle_name text, suffix_name text,
    company text, platoon text, course text, year_level integer, status text, contact_number text, email text,
    birthdate date, birthplace text, age integer, height text, weight text, blood_type text, address text,
    civil_status text, nationality text, gender text, language_spoken text, combat_boots_size text, uniform_size text,
    bullcap_size text, facebook_link text, rotc_unit text, mobilization_center text,
    given text [], record_id integer, outcome text
) ON COMMIT DROP;

-- name: match_students
-- Which rows mean a cadet that exists.
UPDATE import_stage AS s SET record_id = c.id FROM cadets AS c WHERE c.student_id = s.student_id;

-- name: match_cadets
-- Which changes mean a cadet that exists.
UPDATE import_stage AS s SET record_id = c.id FROM cadets AS c WHERE c.id = s.cadet_id;

-- name: lock_cadets
-- Nobody else changes these cadets while they are compared and written; by id, so that nobody waits crosswise.
WITH locked AS MATERIALIZED (
    SELECT c.id FROM cadets AS c WHERE c.id IN (SELECT record_id FROM import_stage) ORDER BY c.id FOR UPDATE
)
SELECT count(*) FROM locked;

-- name: refuse_nameless
-- A new cadet has a name.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, missing.field, 'required', 'is missing, and there is no such cadet yet'
FROM import_stage AS s
CROSS JOIN LATERAL (VALUES ('first_name', s.first_name), ('last_name', s.last_name)) AS missing (field, value)
WHERE s.record_id IS NULL AND missing.value IS NULL;

-- name: refuse_existing_cadets
-- Under the strategy `error` a cadet who exists is a fault of the row.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'exists', 'belongs to a cadet who exists already'
FROM import_stage AS s
WHERE s.record_id IS NOT NULL;

-- name: refuse_unknown_cadets
-- A change of nobody.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'cadet_id', 'unknown', 'is the id of no cadet' FROM import_stage AS s WHERE s.record_id IS NULL;

-- name: complete_imported
-- What a row does not say stays as it is; a row cannot empty a column.
UPDATE import_stage AS s
SET first_name = COALESCE(s.first_name, c.first_name), last_name = COALESCE(s.last_name, c.last_name),
    middle_name = COALESCE(s.middle_name, c.middle_name), suffix_name = COALESCE(s.suffix_name, c.suffix_name),
    company = COALESCE(s.company, c.company), platoon = COALESCE(s.platoon, c.platoon),
    course = COALESCE(s.course, c.course), year_level = COALESCE(s.year_level, c.year_level),
    status = COALESCE(s.status, c.status), contact_number = COALESCE(s.contact_number, c.contact_number),
    email = COALESCE(s.email, c.email), birthdate = COALESCE(s.birthdate, c.birthdate),
    birthplace = COALESCE(s.birthplace, c.birthplace), age = COALESCE(s.age, c.age),
    height = COALESCE(s.height, c.height), weight = COALESCE(s.weight, c.weight),
    blood_type = COALESCE(s.blood_type, c.blood_type), address = COALESCE(s.address, c.address),
    civil_status = COALESCE(s.civil_status, c.civil_status), nationality = COALESCE(s.nationality, c.nationality),
    gender = COALESCE(s.gender, c.gender), language_spoken = COALESCE(s.language_spoken, c.language_spoken),
    combat_boots_size = COALESCE(s.combat_boots_size, c.combat_boots_size),
    uniform_size = COALESCE(s.uniform_size, c.uniform_size), bullcap_size = COALESCE(s.bullcap_size, c.bullcap_size),
    facebook_link = COALESCE(s.facebook_link, c.facebook_link), rotc_unit = COALESCE(s.rotc_unit, c.rotc_unit),
    mobilization_center = COALESCE(s.mobilization_center, c.mobilization_center)
FROM cadets AS c
WHERE c.id = s.record_id;

-- name: complete_changed
-- What a change does not name stays as it is.
UPDATE import_stage AS s
SET first_name = CASE WHEN 'first_name' = ANY (s.given) THEN s.first_name ELSE c.first_name END,
    last_name = CASE WHEN 'last_name' = ANY (s.given) THEN s.last_name ELSE c.last_name END,
    middle_name = CASE WHEN 'middle_name' = ANY (s.given) THEN s.middle_name ELSE c.middle_name END,
    suffix_name = CASE WHEN 'suffix_name' = ANY (s.given) THEN s.suffix_name ELSE c.suffix_name END,
    company = CASE WHEN 'company' = ANY (s.given) THEN s.company ELSE c.company END,
    platoon = CASE WHEN 'platoon' = ANY (s.given) THEN s.platoon ELSE c.platoon END,
    course = CASE WHEN 'course' = ANY (s.given) THEN s.course ELSE c.course END,
    year_level = CASE WHEN 'year_level' = ANY (s.given) THEN s.year_level ELSE c.year_level END,
    status = CASE WHEN 'status' = ANY (s.given) THEN s.status ELSE c.status END,
    contact_number = CASE WHEN 'contact_number' = ANY (s.given) THEN s.contact_number ELSE c.contact_number END,
    email = CASE WHEN 'email' = ANY (s.given) THEN s.email ELSE c.email END,
    birthdate = CASE WHEN 'birthdate' = ANY (s.given) THEN s.birthdate ELSE c.birthdate END,
    birthplace = CASE WHEN 'birthplace' = ANY (s.given) THEN s.birthplace ELSE c.birthplace END,
    age = CASE WHEN 'age' = ANY (s.given) THEN s.age ELSE c.age END,
    height = CASE WHEN 'height' = ANY (s.given) THEN s.height ELSE c.height END,
    weight = CASE WHEN 'weight' = ANY (s.given) THEN s.weight ELSE c.weight END,
    blood_type = CASE WHEN 'blood_type' = ANY (s.given) THEN s.blood_type ELSE c.blood_type END,
    address = CASE WHEN 'address' = ANY (s.given) THEN s.address ELSE c.address END,
    civil_status = CASE WHEN 'civil_status' = ANY (s.given) THEN s.civil_status ELSE c.civil_status END,
    nationality = CASE WHEN 'nationality' = ANY (s.given) THEN s.nationality ELSE c.nationality END,
    gender = CASE WHEN 'gender' = ANY (s.given) THEN s.gender ELSE c.gender END,
    language_spoken = CASE WHEN 'language_spoken' = ANY (s.given) THEN s.language_spoken ELSE c.language_spoken END,
    combat_boots_size = CASE WHEN 'combat_boots_size' = ANY (s.given)
        THEN s.combat_boots_size ELSE c.combat_boots_size END,
    uniform_size = CASE WHEN 'uniform_size' = ANY (s.given) THEN s.uniform_size ELSE c.uniform_size END,
    bullcap_size = CASE WHEN 'bullcap_size' = ANY (s.given) THEN s.bullcap_size ELSE c.bullcap_size END,
    facebook_link = CASE WHEN 'facebook_link' = ANY (s.given) THEN s.facebook_link ELSE c.facebook_link END,
    rotc_unit = CASE WHEN 'rotc_unit' = ANY (s.given) THEN s.rotc_unit ELSE c.rotc_unit END,
    mobilization_center = CASE WHEN 'mobilization_center' = ANY (s.given)
        THEN s.mobilization_center ELSE c.mobilization_center END
FROM cadets AS c
WHERE c.id = s.record_id;

-- name: plan_cadet_updates
-- Which cadets who exist become different; the stage has all their columns by now.
UPDATE import_stage AS s
SET outcome = CASE WHEN (
        c.first_name, c.last_name, c.middle_name, c.suffix_name, c.company, c.platoon, c.course, c.year_level,
        c.status, c.contact_number, c.email, c.birthdate, c.birthplace, c.age, c.height, c.weight, c.blood_type,
        c.address, c.civil_status, c.nationality, c.gender, c.language_spoken, c.combat_boots_size, c.uniform_size,
        c.bullcap_size, c.facebook_link, c.rotc_unit, c.mobilization_center
    ) IS DISTINCT FROM (
        s.first_name, s.last_name, s.middle_name, s.suffix_name, s.company, s.platoon, s.course, s.year_level,
        s.status, s.contact_number, s.email, s.birthdate, s.birthplace, s.age, s.height, s.weight, s.blood_type,
        s.address, s.civil_status, s.nationality, s.gender, s.language_spoken, s.combat_boots_size, s.uniform_size,
        s.bullcap_size, s.facebook_link, s.rotc_unit, s.mobilization_center
    ) THEN 'update' ELSE 'skip' END
FROM cadets AS c
WHERE s.outcome IS NULL AND c.id = s.record_id;

-- name: create_cadets
-- The new cadets, in the order of the rows. One whom somebody else made meanwhile gets no id here.
WITH made AS (
    INSERT INTO cadets (
        student_id, is_profile_completed, is_archived, created_at,
        first_name, last_name, middle_name, suffix_name, company, platoon, course, year_level, status, contact_number,
        email, birthdate, birthplace, age, height, weight, blood_type, address, civil_status, nationality, gender,
        language_spoken, combat_boots_size, uniform_size, bullcap_size, facebook_link, rotc_unit, mobilization_center
    )
    SELECT
        s.student_id, false, false, now(),
        s.first_name, s.last_name, s.middle_name, s.suffix_name, s.company, s.platoon, s.course, s.year_level,
        COALESCE(s.status, 'Ongoing'), s.contact_number, s.email, s.birthdate, s.birthplace, s.age, s.height,
        s.weight, s.blood_type, s.address, s.civil_status, s.nationality, s.gender, s.language_spoken,
        s.combat_boots_size, s.uniform_size, s.bullcap_size, s.facebook_link, s.rotc_unit, s.mobilization_center
    FROM import_stage AS s
    WHERE s.outcome = 'create'
    ORDER BY s.number
    ON CONFLICT (student_id) DO NOTHING
    RETURNING id, student_id
)
UPDATE import_stage AS s SET record_id = made.id FROM made WHERE s.student_id = made.student_id;

-- name: refuse_taken_students
-- The backend made the same cadet in the meantime.
INSERT INTO import_errors (number, field, code, message)
SELECT s.number, 'student_id', 'conflict', 'was taken by somebody else during the import: import the row again'
FROM import_stage AS s
WHERE s.outcome = 'create' AND s.record_id IS NULL;

-- name: create_grades
-- Every new cadet has one row of grades, and that has its audit row, as when the backend makes a cadet. $1: users.id.
WITH made AS (
    INSERT INTO grades (cadet_id, attendance_present, merit_points, demerit_points)
    SELECT s.record_id, 0, 0, 0 FROM import_stage AS s WHERE s.outcome = 'create' ORDER BY s.number
    ON CONFLICT (cadet_id) DO NOTHING
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'grades', 'CREATE', made.id, $1, to_jsonb(made), now() FROM made;

-- name: update_cadets
-- Writes the completed rows of the cadets who become different.
UPDATE cadets AS c
SET first_name = s.first_name, last_name = s.last_name, middle_name = s.middle_name, suffix_name = s.suffix_name,
    company = s.company, platoon = s.platoon, course = s.course, year_level = s.year_level, status = s.status,
    contact_number = s.contact_number, email = s.email, birthdate = s.birthdate, birthplace = s.birthplace,
    age = s.age, height = s.height, weight = s.weight, blood_type = s.blood_type, address = s.address,
    civil_status = s.civil_status, nationality = s.nationality, gender = s.gender,
    language_spoken = s.language_spoken, combat_boots_size = s.combat_boots_size, uniform_size = s.uniform_size,
    bullcap_size = s.bullcap_size, facebook_link = s.facebook_link, rotc_unit = s.rotc_unit,
    mobilization_center = s.mobilization_center
FROM import_stage AS s
WHERE s.outcome = 'update' AND c.id = s.record_id;

-- name: audit_cadets
-- One row for every cadet who was made or changed, with the person who did it. $1: users.id.
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'cadets', upper(s.outcome), c.id, $1, to_jsonb(c), now()
FROM import_stage AS s
JOIN cadets AS c ON c.id = s.record_id
WHERE s.outcome IN ('create', 'update')
ORDER BY s.number;
