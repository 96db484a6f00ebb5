"""What the tests of the tracker share; no part of the running service."""
