"""Examples for the OpenAPI document. They are shown, never sent."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_ID = "0b9c7c1e-5d0f-4c1e-9d6b-0e5a7c1f2b3d"

STATUS: dict[str, Any] = {
    "task_id": _ID, "status": "SUCCESS", "ready": True, "successful": True, "failed": False,
    "result": {"url": "https://res.cloudinary.com/demo/image/upload/v1/profile_pic/7.jpg"},
    "name": "compress_and_upload_image", "attempt": 1, "max_attempts": 4,
    "submitted_at": "2026-11-23T08:00:00.120000Z", "started_at": "2026-11-23T08:00:00.131000Z",
    "finished_at": "2026-11-23T08:00:00.902000Z", "next_attempt_at": None, "worker": "media@host-1a2b3c4d",
    "waiting_for": None, "paused": False, "revoke_requested_at": None,
    "as_of": "2026-11-23T08:00:05.000000Z", "lag_ms": 0,
}  # fmt: skip
SUBMISSION: dict[str, Any] = {
    "name": "compress_and_upload_image",
    "parameters": {"image_data": "https://example.org/photo.jpg", "entity_type": "profile_pic", "entity_id": 7},
    "countdown": 10, "lane": "high", "idempotency_key": "photo-of-cadet-7",
}  # fmt: skip
ACCEPTED: dict[str, Any] = {"task_id": _ID, "status": "PENDING", "status_url": f"/api/tasks/{_ID}/status"}
REVOKED: dict[str, Any] = {"message": "revocation requested", "task_id": _ID, "terminated": False}
HEALTH: dict[str, Any] = {
    "overall": "healthy", "celery": "healthy", "redis": "healthy", "workers": ["media@host-1a2b3c4d"],
    "queues": ["tasks.media.bulk", "tasks.media.default", "tasks.media.high"], "workers_status": "healthy",
    "kafka": "healthy", "database": "healthy", "projection": "healthy", "projection_lag_seconds": 0.0,
    "timestamp": "2026-11-23T08:00:05Z",
}  # fmt: skip
STATS: dict[str, Any] = {
    "total_tasks_24h": 150, "successful_tasks_24h": 145, "failed_tasks_24h": 5, "pending_tasks_24h": 0,
    "revoked_tasks_24h": 0, "workers": {"media@host-1a2b3c4d": {"service": "media", "slots": 4, "running": 0}},
    "active_tasks": {}, "scheduled_tasks": {}, "reserved_tasks": {},
    "types": [{"name": "compress_and_upload_image", "total": 150, "runtime_seconds": {"p50": 0.4, "p95": 1.1}}],
}  # fmt: skip
ERROR: dict[str, Any] = {
    "error": True, "message": "no task has the id abc", "code": "NOT_FOUND", "details": {"request_id": "f3a1c2"},
}  # fmt: skip


def body(model: type[BaseModel], example: Any) -> dict[str, Any]:
    """The request body of a route that reads it itself."""
    schema = model.model_json_schema()
    shown = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"content": {"application/json": {"schema": shown, "example": example}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions in place: inside the OpenAPI document, references to them would lead nowhere."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        return _inlined(definitions[reference.removeprefix("#/$defs/")], definitions)
    return {name: _inlined(item, definitions) for name, item in schema.items()}


def answers(example: Any, *refusals: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its success, and the refusals it knows, in the envelope."""
    shown: dict[int | str, dict[str, Any]] = {status: {"content": {"application/json": {"example": example}}}}
    for refusal in (401, *refusals, 429):
        shown[refusal] = {"description": "Refused", "content": {"application/json": {"example": ERROR}}}
    return shown
