-- name: columns
-- The columns of these tables, wherever the search path finds them. `lacking` marks one that an INSERT must name.
SELECT
    wanted.name AS table_name,
    a.attname AS column_name,
    format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull AS required,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS lacking
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_attribute AS a ON a.attrelid = to_regclass(wanted.name)
WHERE a.attnum > 0 AND NOT a.attisdropped
ORDER BY wanted.name, a.attnum;

-- name: unique_columns
-- The sets of columns of these tables that a unique index without a condition covers.
SELECT wanted.name AS table_name, array_agg(a.attname::text ORDER BY a.attname) AS columns
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_index AS i ON i.indrelid = to_regclass(wanted.name)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY wanted.name, i.indexrelid;

-- name: owner
-- Who made the tables: Django leaves its history of migrations, we leave ours.
SELECT
    to_regclass('django_migrations') IS NOT NULL AS django,
    to_regclass('muster.rotc_migrations') IS NOT NULL AS rotc;
