"""Folds what Kafka says of tasks into PostgreSQL."""
