-- name: report_lines
-- What became of each row, in their order: what was planned or done, and of refused ones each reason.
SELECT
    number, CASE outcome WHEN 'create' THEN 'created' WHEN 'update' THEN 'updated' ELSE 'skipped' END AS outcome, record_id,
    NULL AS field, NULL AS code, NULL AS message
FROM import_stage
WHERE outcome <> 'refused'
UNION ALL
SELECT number, 'refused', NULL, field, code, message FROM import_errors
ORDER BY number, field, code;
