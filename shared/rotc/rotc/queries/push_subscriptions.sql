-- name: lock_subscriber
-- One subscription of a user at a time: their number is limited.
SELECT pg_advisory_xact_lock(7306041, $1);

-- name: lock_endpoint
-- One subscription of a browser at a time: the backend's table lets an endpoint stand in it twice.
SELECT pg_advisory_xact_lock(7306042, hashtext($1));

-- name: renew_subscription
-- A browser that is known already: its keys may be new, and it belongs to who is logged in there now.
UPDATE push_subscriptions SET user_id = $1, keys = jsonb_build_object('p256dh', $3::text, 'auth', $4::text), created_at = now()
WHERE id = (SELECT min(id) FROM push_subscriptions WHERE endpoint = $2)
RETURNING id;

-- name: drop_doubles
-- The same browser a second time, left by others.
DELETE FROM push_subscriptions WHERE endpoint = $1 AND id <> $2;

-- name: add_subscription
-- A browser that is new here. No row: there is no such user.
INSERT INTO push_subscriptions (user_id, endpoint, keys, created_at)
SELECT id, $2, jsonb_build_object('p256dh', $3::text, 'auth', $4::text), now() FROM users WHERE id = $1
RETURNING id;

-- name: drop_oldest_subscriptions
-- Browsers a user gave up are seldom unsubscribed: only the newest are kept.
DELETE FROM push_subscriptions
WHERE id IN (SELECT id FROM push_subscriptions WHERE user_id = $1 ORDER BY created_at DESC, id DESC OFFSET $2);

-- name: drop_subscription
-- A user's own browser, by its endpoint.
DELETE FROM push_subscriptions WHERE user_id = $1 AND endpoint = $2 RETURNING id;
