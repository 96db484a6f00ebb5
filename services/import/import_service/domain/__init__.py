"""What a row must be to be imported. Pure: rows in, values or errors out; no database, no files."""
