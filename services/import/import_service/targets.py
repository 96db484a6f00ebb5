"""What can be imported: each entity with its merge and the cache it touches."""

from __future__ import annotations

import rotc.imports

from import_service.domain.attendance import ATTENDANCE
from import_service.domain.cadets import CADET_UPDATES, CADETS
from import_service.domain.grades import GRADES
from import_service.loading import Target

IMPORTED_CADETS = Target(CADETS, rotc.imports.CADETS, cached=("cadets:*", "grades:*"))
CHANGED_CADETS = Target(CADET_UPDATES, rotc.imports.CADET_CHANGES, cached=("cadets:*", "grades:*"))
IMPORTED_GRADES = Target(GRADES, rotc.imports.GRADES, cached=("grades:*",))
IMPORTED_ATTENDANCE = Target(ATTENDANCE, rotc.imports.ATTENDANCE, cached=("grades:*", "training_days:*"))
#: By entity_type.
TABLES = {"cadets": IMPORTED_CADETS, "grades": IMPORTED_GRADES, "attendance": IMPORTED_ATTENDANCE}
