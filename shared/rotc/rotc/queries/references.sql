-- name: cadets_with_picture_like
-- Cadets whose picture may be the file: its URL has the text somewhere. strpos, since in LIKE `_` and `%` are wildcards.
SELECT id, profile_pic AS url FROM cadets WHERE strpos(profile_pic, $1) > 0 ORDER BY id FOR UPDATE;

-- name: excuse_letters_with_file_like
-- Letters whose file may be the file.
SELECT id, file_url AS url FROM excuse_letters WHERE strpos(file_url, $1) > 0 ORDER BY id FOR UPDATE;

-- name: activities_with_picture_like
-- Activities which may show the file: in their list, as their old single picture, or as a row of their own.
SELECT a.id, a.images, a.image_path
FROM activities AS a
WHERE strpos(a.images, $1) > 0
    OR strpos(a.image_path, $1) > 0
    OR EXISTS (SELECT FROM activity_images AS i WHERE i.activity_id = a.id AND strpos(i.image_url, $1) > 0)
ORDER BY a.id
FOR UPDATE OF a;

-- name: clear_profile_pics
-- Takes the picture from these cadets, each with its audit row.
WITH saved AS (
    UPDATE cadets SET profile_pic = NULL WHERE id = ANY ($1::int[]) RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'cadets', 'UPDATE', saved.id, $2, to_jsonb(saved), now()
FROM saved;

-- name: clear_excuse_letter_files
-- Takes the file from these letters, each with its audit row.
WITH saved AS (
    UPDATE excuse_letters SET file_url = NULL WHERE id = ANY ($1::int[]) RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'excuse_letters', 'UPDATE', saved.id, $2, to_jsonb(saved), now()
FROM saved;

-- name: delete_activity_image_rows
-- Removes pictures of an activity by the ids of their rows.
DELETE FROM activity_images WHERE id = ANY ($1::int[]);
