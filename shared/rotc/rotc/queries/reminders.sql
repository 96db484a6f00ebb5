-- name: training_day
-- What a reminder says.
SELECT title, date, location FROM training_days WHERE id = $1;

-- name: remind_cadets
-- The same row for every approved account behind which a cadet stands who is not archived; how many rows.
WITH told AS (
    INSERT INTO notifications (user_id, message, type, is_read, created_at)
    SELECT users.id, $1, $2, false, now()
    FROM users
    JOIN cadets ON cadets.id = users.cadet_id
    WHERE users.role = 'cadet' AND users.is_approved AND NOT cadets.is_archived
    ORDER BY users.id
    RETURNING 1
)
SELECT count(*) FROM told;

-- name: delete_read
-- One batch, so that no lock is held for long; by id, which is the order they were written in.
WITH old AS (
    SELECT id FROM notifications
    WHERE is_read AND created_at < now() - make_interval(days => $1)
    ORDER BY id
    LIMIT $2
), gone AS (
    DELETE FROM notifications USING old WHERE notifications.id = old.id RETURNING 1
)
SELECT count(*) FROM gone;
