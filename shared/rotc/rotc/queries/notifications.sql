-- name: notify_user
-- Something to read in the app. No row is written for a user who does not exist.
INSERT INTO notifications (user_id, message, type, is_read, created_at)
SELECT id, $2, $3, false, now() FROM users WHERE id = $1;

-- name: notify_approved_admins
-- The same for every admin who has been approved.
INSERT INTO notifications (user_id, message, type, is_read, created_at)
SELECT id, $1, $2, false, now() FROM users WHERE role = 'admin' AND is_approved ORDER BY id;

-- name: audit_report
-- A report that was made, as the backend notes it: what kind, by which task, for whom; no name of a cadet.
INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
VALUES ('reports', 'CREATE', 0, $1, $2, now());
