-- name: delete_audit_logs
-- Up to $2 audit rows from before $1, the oldest first; rows that somebody holds wait for the next time.
WITH old AS (
    SELECT id FROM audit_logs WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM audit_logs AS a USING old WHERE a.id = old.id;

-- name: delete_sync_events
-- The same of events that the app has processed.
WITH old AS (
    SELECT id FROM sync_events
    WHERE processed AND created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM sync_events AS e USING old WHERE e.id = old.id;

-- name: count_audit_logs
-- How many audit rows are from before $1.
SELECT count(*) FROM audit_logs WHERE created_at < $1;

-- name: count_sync_events
-- How many processed events are from before $1.
SELECT count(*) FROM sync_events WHERE processed AND created_at < $1;
