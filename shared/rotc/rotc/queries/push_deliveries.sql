-- name: lock_schema
-- One at a time.
SELECT pg_advisory_xact_lock($1);

-- name: create_schema
-- Where everything lies that the backend does not know of.
CREATE SCHEMA IF NOT EXISTS muster;

-- name: create_table
-- What became of each push of a task that has not ended, so that another run of it leaves out what is done.
CREATE TABLE IF NOT EXISTS muster.push_deliveries (
    task_id         text NOT NULL,
    subscription_id integer NOT NULL,
    outcome         text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task_id, subscription_id)
);

-- name: count_audience
-- The people who are meant.
SELECT count(*)::int
FROM users u
WHERE ($1::int[] IS NULL OR u.id = ANY($1::int[])) AND (NOT $2::bool OR u.is_approved)
    AND ($3::text IS NULL OR u.role = $3::text);

-- name: notify_audience
-- What the app lists: one row for each person who is meant, besides the one who has it already.
INSERT INTO notifications (user_id, message, type, is_read, created_at)
SELECT u.id, $4::text, $5::text, false, now()
FROM users u
WHERE ($1::int[] IS NULL OR u.id = ANY($1::int[])) AND (NOT $2::bool OR u.is_approved)
    AND ($3::text IS NULL OR u.role = $3::text) AND u.id IS DISTINCT FROM $6::int
ORDER BY u.id;

-- name: newest_subscription
-- Who subscribes later is not meant; 0 when nobody ever did.
SELECT coalesce(max(id), 0)::int FROM push_subscriptions;

-- name: next_page
-- The next browsers by id, and which of them are to be pushed to: of people who are meant and want pushes, and not yet
-- done by this task. Row by row, by primary keys: a join would be planned by statistics that may be older than the rows.
WITH page AS MATERIALIZED (
    SELECT id, user_id, endpoint, keys FROM push_subscriptions
    WHERE id > $5 AND id <= $6 AND ($1::int[] IS NULL OR user_id = ANY($1::int[]))
    ORDER BY id
    LIMIT $7
)
SELECT s.id, s.endpoint, s.keys ->> 'p256dh' AS p256dh, s.keys ->> 'auth' AS auth,
    EXISTS (
        SELECT FROM users u
        WHERE u.id = s.user_id AND (NOT $2::bool OR u.is_approved) AND ($3::text IS NULL OR u.role = $3::text)
    )
    AND NOT EXISTS (SELECT FROM user_settings p WHERE p.user_id = s.user_id AND NOT p.push_notifications)
    AND NOT EXISTS (SELECT FROM muster.push_deliveries d WHERE d.task_id = $4 AND d.subscription_id = s.id) AS wanted
FROM page s
ORDER BY s.id;

-- name: count_targets
-- How many those are in all.
SELECT count(*) FILTER (
    WHERE EXISTS (
        SELECT FROM users u
        WHERE u.id = s.user_id AND (NOT $2::bool OR u.is_approved) AND ($3::text IS NULL OR u.role = $3::text)
    )
    AND NOT EXISTS (SELECT FROM user_settings p WHERE p.user_id = s.user_id AND NOT p.push_notifications)
    AND NOT EXISTS (SELECT FROM muster.push_deliveries d WHERE d.task_id = $4 AND d.subscription_id = s.id)
)::int
FROM push_subscriptions s
WHERE s.id <= $5 AND ($1::int[] IS NULL OR s.user_id = ANY($1::int[]));

-- name: record_deliveries
-- What became of these; known ones stay as they were.
INSERT INTO muster.push_deliveries (task_id, subscription_id, outcome)
SELECT $1, r.id, r.outcome FROM unnest($2::int[], $3::text[]) AS r (id, outcome)
ON CONFLICT DO NOTHING;

-- name: drop_expired
-- Browsers that are gone for good, unless they subscribed again while we pushed.
DELETE FROM push_subscriptions s
USING unnest($1::int[], $2::text[]) AS gone (id, auth)
WHERE s.id = gone.id AND s.keys ->> 'auth' = gone.auth;

-- name: count_deliveries
-- How many pushes of a task ended how.
SELECT outcome, count(*)::int AS number FROM muster.push_deliveries WHERE task_id = $1 GROUP BY outcome;

-- name: forget_deliveries
-- A task that has ended needs them no more; nor does one that was given up a month ago.
DELETE FROM muster.push_deliveries WHERE task_id = $1 OR at < now() - interval '30 days';

-- name: notification
-- One row of what the app lists.
SELECT user_id, message, type FROM notifications WHERE id = $1;
