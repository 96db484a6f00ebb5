-- What was read from a letter. The backend's model has these columns and none of its migrations makes them,
-- so this file is also what `migrate --add-ocr-columns` runs on a Django database: it must stay repeatable.

ALTER TABLE excuse_letters ADD COLUMN IF NOT EXISTS ocr_text text;
ALTER TABLE excuse_letters ADD COLUMN IF NOT EXISTS ocr_confidence double precision;
ALTER TABLE excuse_letters ADD COLUMN IF NOT EXISTS ocr_processed_at timestamp with time zone;
