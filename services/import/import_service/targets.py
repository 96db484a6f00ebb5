"""What can be imported: each entity with its merge and the cache it touches."""

from __future__ import annotations

import rotc.imports

from import_service.domain.cadets import CADET_UPDATES, CADETS
from import_service.loading import Target

IMPORTED_CADETS = Target(CADETS, rotc.imports.CADETS, cached=("cadets:*", "grades:*"))
CHANGED_CADETS = Target(CADET_UPDATES, rotc.imports.CADET_CHANGES, cached=("cadets:*", "grades:*"))
