-- Keys of machines that call the API. The key itself is shown once, when it is made; only its SHA-256 is kept.

CREATE TABLE muster.api_keys (
    name       text PRIMARY KEY,
    key_hash   bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
