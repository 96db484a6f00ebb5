"""A company of invented cadets for demonstrations and tests. No real person is meant; no service uses it."""
