-- name: activity_image_rows
-- The pictures of one activity as rows, oldest first.
SELECT id, image_url FROM activity_images WHERE activity_id = $1 ORDER BY id;

-- name: set_activity_pictures
-- Replaces an activity's list and its old single picture, with its audit row.
WITH saved AS (
    UPDATE activities SET images = $2, image_path = $3
    WHERE id = $1
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'activities', 'UPDATE', saved.id, $4, to_jsonb(saved), now()
FROM saved;
