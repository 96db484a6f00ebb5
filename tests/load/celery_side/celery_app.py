"""The Celery application of the comparison: one task that does nothing. Measuring is celery_producer.py."""

from __future__ import annotations

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "celery_settings")
django.setup()

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task  # type: ignore[untyped-decorator]
def noop() -> None:
    """What both stacks run: nothing, so that only the machinery is measured."""
