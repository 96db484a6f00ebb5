"""The ROTC Grading System's database, for services: its tables, who is who, media references, demo data.

Knows PostgreSQL and the unit; knows nothing of Kafka, of HTTP, or of how a task is run.
"""
