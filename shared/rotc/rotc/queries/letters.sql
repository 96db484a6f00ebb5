-- name: letter
-- What must be known of a letter before its file is read. Names the ocr columns, so that their absence shows at once.
SELECT id, cadet_id, file_url, ocr_processed_at, ocr_text IS NOT NULL AND ocr_confidence IS NOT NULL AS is_read
FROM excuse_letters
WHERE id = $1;

-- name: set_reading
-- What a letter says, with the audit row the backend writes when it saves a letter. No row: there is no such letter.
WITH saved AS (
    UPDATE excuse_letters SET ocr_text = $2, ocr_confidence = $3, ocr_processed_at = now()
    WHERE id = $1
    RETURNING *
)
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
SELECT 'excuse_letters', 'UPDATE', saved.id, $4, to_jsonb(saved), now()
FROM saved
RETURNING record_id;

-- name: ask_admins_to_look
-- One unread notification for each approved admin, unless the same one waits for that admin already.
INSERT INTO notifications (user_id, message, type, is_read, created_at)
SELECT users.id, $1::text, $2::text, false, now()
FROM users
WHERE users.role = 'admin' AND users.is_approved
    AND NOT EXISTS (
        SELECT FROM notifications n
        WHERE n.user_id = users.id AND n.type = $2::text AND n.message = $1::text AND NOT n.is_read
    )
RETURNING user_id;
