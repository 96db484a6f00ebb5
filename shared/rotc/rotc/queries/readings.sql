-- name: table_exists
-- Asked first, since creating a table needs a right that its user may lack.
SELECT to_regclass('muster.ocr_readings') IS NOT NULL;

-- name: create_table
-- What documents said, by the SHA-256 of their bytes and the language they were read with.
CREATE TABLE IF NOT EXISTS muster.ocr_readings (
    digest bytea NOT NULL,
    language text NOT NULL,
    reading json NOT NULL,
    read_at timestamp with time zone NOT NULL,
    PRIMARY KEY (digest, language)
);

-- name: create_index
-- For the removal of what is too old.
CREATE INDEX IF NOT EXISTS ocr_readings_read_at ON muster.ocr_readings (read_at);

-- name: recall
-- A reading that is not older than so many days.
SELECT reading::text FROM muster.ocr_readings
WHERE digest = $1 AND language = $2 AND read_at > now() - make_interval(secs => $3::double precision * 86400);

-- name: keep
-- The newest reading of the same bytes stays.
INSERT INTO muster.ocr_readings (digest, language, reading, read_at) VALUES ($1, $2, $3::text::json, now())
ON CONFLICT (digest, language) DO UPDATE SET reading = excluded.reading, read_at = excluded.read_at;

-- name: forget
-- Removes a few of those that are too old; whoever keeps one pays for these.
DELETE FROM muster.ocr_readings
WHERE (digest, language) IN (
    SELECT digest, language FROM muster.ocr_readings
    WHERE read_at <= now() - make_interval(secs => $1::double precision * 86400)
    ORDER BY read_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
);
