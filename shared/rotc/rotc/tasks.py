"""The unit's tasks as Django calls them: `compress_and_upload_image.delay(image_data, "profile_pic", cadet_id)`.

Names and the order of parameters are those of the Celery tasks before; running them is the services'.
"""

from __future__ import annotations

from muster.client import TaskStub
from muster.connect import default_client


def _stub(service: str, name: str, *parameters: str) -> TaskStub:
    return TaskStub(service, name, parameters, default_client)


compress_and_upload_image = _stub(
    "media",
    "compress_and_upload_image",
    "image_data", "entity_type", "entity_id", "max_size", "quality", "target_bytes",
)  # fmt: skip
delete_cloudinary_image = _stub("media", "delete_cloudinary_image", "public_id")
batch_compress_images = _stub("media", "batch_compress_images", "image_list")

process_ocr_document = _stub("ocr", "process_ocr_document", "file_url", "excuse_letter_id", "language")
batch_process_ocr = _stub("ocr", "batch_process_ocr", "file_urls_and_ids")

generate_pdf_report = _stub("reports", "generate_pdf_report", "report_type", "filters", "user_id")
batch_generate_cadet_pdfs = _stub("reports", "batch_generate_cadet_pdfs", "cadet_ids", "user_id")
batch_generate_certificates = _stub("reports", "batch_generate_certificates", "activity_id", "cadet_names", "user_id")
generate_daily_attendance_report = _stub("reports", "generate_daily_attendance_report", "date")

send_push_notification = _stub("notify", "send_push_notification", "user_id", "title", "message", "data")
send_push_notifications = _stub(
    "notify", "send_push_notifications", "notification_id", "user_ids", "title", "message"
)  # fmt: skip
send_broadcast_push_notification = _stub("notify", "send_broadcast_push_notification", "title", "message", "role")
send_email_notification = _stub(
    "notify", "send_email_notification", "recipient_email", "subject", "message", "html_message", "from_email"
)
send_bulk_email_notifications = _stub(
    "notify", "send_bulk_email_notifications", "recipients", "subject", "message", "html_message"
)
send_grade_update_email = _stub("notify", "send_grade_update_email", "cadet_id", "grade_type", "new_value")
send_excuse_letter_status_email = _stub(
    "notify", "send_excuse_letter_status_email", "excuse_letter_id", "status", "reason"
)
send_attendance_reminder = _stub("notify", "send_attendance_reminder", "training_day_id")
cleanup_old_notifications = _stub("notify", "cleanup_old_notifications", "days")

import_rotcmis_data = _stub(
    "import", "import_rotcmis_data", "json_data", "user_id", "merge_strategy", "dry_run", "data"
)  # fmt: skip
bulk_update_cadets = _stub("import", "bulk_update_cadets", "updates_data", "user_id")
import_csv = _stub("import", "import_csv", "file", "entity_type", "user_id", "merge_strategy", "dry_run")
cleanup_old_audit_logs = _stub("import", "cleanup_old_audit_logs", "days")
cleanup_old_sync_events = _stub("import", "cleanup_old_sync_events", "days")

__all__ = [
    "batch_compress_images",
    "batch_generate_cadet_pdfs",
    "batch_generate_certificates",
    "batch_process_ocr",
    "bulk_update_cadets",
    "cleanup_old_audit_logs",
    "cleanup_old_notifications",
    "cleanup_old_sync_events",
    "compress_and_upload_image",
    "delete_cloudinary_image",
    "generate_daily_attendance_report",
    "generate_pdf_report",
    "import_csv",
    "import_rotcmis_data",
    "process_ocr_document",
    "send_attendance_reminder",
    "send_broadcast_push_notification",
    "send_bulk_email_notifications",
    "send_email_notification",
    "send_excuse_letter_status_email",
    "send_grade_update_email",
    "send_push_notification",
    "send_push_notifications",
]
