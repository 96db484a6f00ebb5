-- name: cadet_exists
-- Whether a profile picture has somebody to belong to.
SELECT EXISTS (SELECT FROM cadets WHERE id = $1);

-- name: excuse_letter_exists
-- Whether a scanned letter has a letter to belong to.
SELECT EXISTS (SELECT FROM excuse_letters WHERE id = $1);

-- name: activity_pictures
-- The list of pictures as stored (a JSON array in a text column, or NULL) and the single picture of old rows.
SELECT images, image_path FROM activities WHERE id = $1;

-- name: lock_activity
-- The same, held until the transaction ends, so that two pictures added at once both stay in the list.
SELECT images, image_path FROM activities WHERE id = $1 FOR UPDATE;

-- name: set_profile_pic
-- Gives a cadet a picture, with the audit row the backend writes when it saves a cadet. No row: it was there already.
WITH saved AS (
    UPDATE cadets SET profile_pic = $2
    WHERE id = $1 AND profile_pic IS DISTINCT FROM $2
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'cadets', 'UPDATE', saved.id, $3, to_jsonb(saved), now()
FROM saved
RETURNING record_id;

-- name: set_excuse_letter_file
-- Gives a letter its file, with the audit row the backend writes when it saves a letter. No row: it was there already.
WITH saved AS (
    UPDATE excuse_letters SET file_url = $2
    WHERE id = $1 AND file_url IS DISTINCT FROM $2
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'excuse_letters', 'UPDATE', saved.id, $3, to_jsonb(saved), now()
FROM saved
RETURNING record_id;

-- name: add_activity_image_row
-- One more picture of an activity. The backend audits the activity, not its pictures.
INSERT INTO activity_images (activity_id, image_url, created_at) VALUES ($1, $2, now());

-- name: set_activity_image_url
-- A newer version of a picture that is there.
UPDATE activity_images SET image_url = $2 WHERE id = $1;
