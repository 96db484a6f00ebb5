-- name: lock_schema
-- One at a time.
SELECT pg_advisory_xact_lock($1);

-- name: create_history
-- Which of the files in alert_migrations/ this database has.
CREATE TABLE IF NOT EXISTS muster.alert_migrations (
    name       text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: history
-- What was applied.
SELECT name FROM muster.alert_migrations;

-- name: record
-- One file was applied.
INSERT INTO muster.alert_migrations (name) VALUES ($1);

-- name: lead
-- Become the one that reads dead letters, or go on being it; no row while somebody else is.
UPDATE muster.alert_cursor
SET holder = $1, held_until = now() + make_interval(secs => $2), version = version + 1
WHERE holder = $1 OR held_until < now()
RETURNING version, created_at;

-- name: resign
-- Let somebody else lead at once.
UPDATE muster.alert_cursor SET held_until = '-infinity', holder = '' WHERE holder = $1;

-- name: bound_turn
-- A process that is frozen in the middle of a write holds its row for so long at most: then its session is ended.
SET LOCAL idle_in_transaction_session_timeout = '5s';

-- name: turn
-- The fence: whoever does not stand at this version any more writes nothing. The row is locked until the end.
UPDATE muster.alert_cursor
SET version = version + 1, held_until = now() + make_interval(secs => $3), turned_at = now()
WHERE version = $1 AND holder = $2
RETURNING version;

-- name: read_offsets
-- Where the fold stands.
SELECT "partition", next_offset FROM muster.alert_offsets WHERE topic = $1;

-- name: write_offsets
-- In the transaction of what was folded.
INSERT INTO muster.alert_offsets (topic, "partition", next_offset)
SELECT $1, * FROM unnest($2::integer[], $3::bigint[])
ON CONFLICT (topic, "partition") DO UPDATE SET next_offset = excluded.next_offset;

-- name: read_groups
-- The groups of a batch, and those whose time has come.
SELECT key, service, task, kind, error, phase, first_seen, last_seen, anchor, episode, total, in_episode, pending,
    window_ends, muted, escalated, told, message, attempts, task_id
FROM muster.alert_groups WHERE key = ANY($1::text[])
UNION
(SELECT key, service, task, kind, error, phase, first_seen, last_seen, anchor, episode, total, in_episode, pending,
    window_ends, muted, escalated, told, message, attempts, task_id
FROM muster.alert_groups WHERE due_at <= $2 ORDER BY due_at LIMIT 1000);

-- name: write_group
-- One group as it stands after a batch.
INSERT INTO muster.alert_groups (key, service, task, kind, error, phase, first_seen, last_seen, anchor, episode, total,
    in_episode, pending, window_ends, muted, escalated, told, message, attempts, task_id, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (key) DO UPDATE SET phase = excluded.phase, last_seen = excluded.last_seen, anchor = excluded.anchor,
    episode = excluded.episode, total = excluded.total, in_episode = excluded.in_episode, pending = excluded.pending,
    window_ends = excluded.window_ends, muted = excluded.muted, escalated = excluded.escalated, told = excluded.told,
    message = excluded.message, attempts = excluded.attempts, task_id = excluded.task_id, due_at = excluded.due_at;

-- name: write_alert
-- One alert, by its id at most once; a row when it is new.
INSERT INTO muster.alerts (id, kind, severity, group_key, facts, at)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: recent_news
-- When kinds of failures were told for the first time, or anew, since $1; the one of all that were too many is none.
SELECT at FROM muster.alerts
WHERE kind IN ('first', 'regression') AND facts->'failed'->>2 <> 'storm' AND at > $1
ORDER BY at;

-- name: address_admins
-- To be sent to each approved admin who has not turned it off ($4: the setting that says so).
INSERT INTO muster.alert_deliveries (alert_id, channel, recipient, expires_at)
SELECT $1, $2, 'user:' || u.id, now() + make_interval(secs => $3)
FROM users u LEFT JOIN user_settings s ON s.user_id = u.id
WHERE u.role = 'admin' AND u.is_approved
    AND coalesce(CASE $4::text WHEN 'email_alerts' THEN s.email_alerts ELSE s.push_notifications END, true)
ON CONFLICT DO NOTHING;

-- name: address_hooks
-- To be sent to each of these webhooks, which are named by digests of their addresses.
INSERT INTO muster.alert_deliveries (alert_id, channel, recipient, expires_at)
SELECT $1, 'webhook', hook, now() + make_interval(secs => $3) FROM unnest($2::text[]) AS hook
ON CONFLICT DO NOTHING;

-- name: claim_deliveries
-- Take what is due; whoever took it and was killed loses it after $2 seconds.
UPDATE muster.alert_deliveries d
SET tries = d.tries + 1, next_try = now() + make_interval(secs => $2)
FROM (
    SELECT alert_id, channel, recipient FROM muster.alert_deliveries
    WHERE state = 'open' AND next_try <= now() ORDER BY next_try LIMIT $1 FOR UPDATE SKIP LOCKED
) due, muster.alerts a
WHERE d.alert_id = due.alert_id AND d.channel = due.channel AND d.recipient = due.recipient AND a.id = d.alert_id
RETURNING d.alert_id, d.channel, d.recipient, d.tries, d.expires_at, a.facts::text AS facts;

-- name: delivered
-- The other side has it.
UPDATE muster.alert_deliveries SET state = 'sent', sent_at = now(), error = NULL
WHERE alert_id = $1 AND channel = $2 AND recipient = $3;

-- name: deliver_later
-- It failed for now; the time given with $6 counts from now.
UPDATE muster.alert_deliveries
SET error = $5, next_try = now() + make_interval(secs => $6),
    state = CASE WHEN expires_at < now() THEN 'expired' ELSE state END
WHERE alert_id = $1 AND channel = $2 AND recipient = $3 AND tries = $4 AND state = 'open'
RETURNING state;

-- name: refuse_delivery
-- It will never be taken.
UPDATE muster.alert_deliveries SET state = 'refused', error = $4
WHERE alert_id = $1 AND channel = $2 AND recipient = $3 AND state = 'open';

-- name: open_deliveries
-- How many wait.
SELECT count(*) AS waiting FROM muster.alert_deliveries WHERE state = 'open';

-- name: addresses
-- Where a user is reached; no row when there is none any more, or no approval.
SELECT id, username, email FROM users WHERE id = $1 AND role = 'admin' AND is_approved;

-- name: read_pulses
-- What was told of each part of the pipeline.
SELECT part, silent_since, told_at, told FROM muster.alert_pulses;

-- name: write_pulse
-- The same, after another look.
INSERT INTO muster.alert_pulses (part, silent_since, told_at, told) VALUES ($1, $2, $3, $4)
ON CONFLICT (part) DO UPDATE SET silent_since = excluded.silent_since, told_at = excluded.told_at, told = excluded.told;

-- name: forget_alerts
-- Alerts whose deliveries are all over, made more than $1 days ago.
WITH old AS (
    SELECT a.id FROM muster.alerts a WHERE a.made_at < now() - make_interval(days => $1)
        AND NOT EXISTS (SELECT FROM muster.alert_deliveries d WHERE d.alert_id = a.id AND d.state = 'open') LIMIT 1000
)
DELETE FROM muster.alerts USING old WHERE alerts.id = old.id;

-- name: forget_groups
-- Groups that were last seen more than $1 days ago; the next failure of such a kind is a first one again.
DELETE FROM muster.alert_groups WHERE phase = 'quiet' AND last_seen < now() - make_interval(days => $1);

-- name: projection_offsets
-- How far the tracker has recorded what happened; its table may lie in another database.
SELECT topic, "partition", next_offset FROM muster.offsets WHERE topic = ANY($1::text[]);
