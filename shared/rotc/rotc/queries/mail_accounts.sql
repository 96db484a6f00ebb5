-- name: accounts_by_address
-- Who has one of these addresses (in lower case), and whether they want mail; who never chose does.
SELECT lower(users.email) AS email, min(users.id) AS user_id, bool_and(coalesce(s.email_alerts, true)) AS wants_mail
FROM users
LEFT JOIN user_settings s ON s.user_id = users.id
WHERE lower(users.email) = ANY ($1::text[])
GROUP BY lower(users.email);

-- name: account_of_cadet
-- The cadet's approved account, if there is one; no row: there is no such cadet.
SELECT cadets.first_name, account.*
FROM cadets
LEFT JOIN LATERAL (
    SELECT users.id AS user_id, users.email, coalesce(s.email_alerts, true) AS wants_mail
    FROM users
    LEFT JOIN user_settings s ON s.user_id = users.id
    WHERE users.cadet_id = cadets.id AND users.is_approved
    ORDER BY users.id
    LIMIT 1
) account ON true
WHERE cadets.id = $1;

-- name: account_of_letter
-- The same for the cadet who handed in this letter.
SELECT l.date_absent, cadets.first_name, account.*
FROM excuse_letters l
JOIN cadets ON cadets.id = l.cadet_id
LEFT JOIN LATERAL (
    SELECT users.id AS user_id, users.email, coalesce(s.email_alerts, true) AS wants_mail
    FROM users
    LEFT JOIN user_settings s ON s.user_id = users.id
    WHERE users.cadet_id = cadets.id AND users.is_approved
    ORDER BY users.id
    LIMIT 1
) account ON true
WHERE l.id = $1;

-- name: stop_mail
-- An account without settings gets the backend's defaults, besides the one that was asked for.
INSERT INTO user_settings (
    user_id, email_alerts, push_notifications, activity_updates, dark_mode, compact_mode, primary_color
)
SELECT id, false, true, true, false, false, 'blue' FROM users WHERE id = $1
ON CONFLICT (user_id) DO UPDATE SET email_alerts = false
RETURNING user_id;
