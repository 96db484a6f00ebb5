-- Which call of its task a claimed record belongs to: a claim to a record that its task has left by a later call is void.

ALTER TABLE muster.claims ADD COLUMN sequenced integer;
