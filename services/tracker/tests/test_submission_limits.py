"""What the API refuses by its size before anything is written. The other limits are the record's own."""

from __future__ import annotations

import pytest
from muster.contracts.topics import MAX_BODY_BYTES
from tracker_service.api.errors import ApiError
from tracker_service.api.submission import Submission

ROOM = MAX_BODY_BYTES - len('{"file":""}')


def test_parameters_that_fit_a_record_are_taken() -> None:
    assert len(Submission(name="noop", parameters={"file": "x" * ROOM}).body()) == MAX_BODY_BYTES


def test_parameters_that_do_not_fit_are_413_with_both_sizes() -> None:
    with pytest.raises(ApiError, match="have 31,457,281 bytes, 31,457,280 may be sent") as raised:
        Submission(name="noop", parameters={"file": "x" * (ROOM + 1)}).body()

    assert raised.value.status == 413
