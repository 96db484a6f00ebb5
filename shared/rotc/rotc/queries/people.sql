-- name: user_by_id
-- What authorization needs to know about one user.
SELECT id, role, is_approved, cadet_id
FROM users
WHERE id = $1;

-- name: approved_admins
-- The people to tell when something needs an admin.
SELECT id, role, is_approved, cadet_id
FROM users
WHERE role = 'admin' AND is_approved
ORDER BY id;
