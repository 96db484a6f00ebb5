"""`python tests/load/signing_bench.py`: what a signature costs, in CPU time of one core. Starts nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.signature import Signatures, Signed
from muster.contracts.topics import Topics

ROUNDS = 7


def microseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of one call, the best of some rounds: others may use the machine."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, time.process_time() - began)
    return best / times * 1e6


def main() -> None:
    topics = Topics()
    signatures = Signatures(topics, {"k1": bytes(32)})
    for size, times in ((300, 5000), (1024 * 1024, 20), (28 * 1024 * 1024, 1)):
        task = TaskRecord(
            task_id="0198f6a2-7c1e-7d31-9f4e-0c2b7a1d5e90", task_type="compress_and_upload_image", body=b"x" * size,
            submitter=7, submitted_at=datetime.now(UTC),
        )  # fmt: skip
        plain = Signed(topics.lane("media"), task.key, task.body, task.headers())
        signed = plain._replace(headers=signatures.sign(plain))
        figures = {
            "sign": microseconds(lambda plain=plain: signatures.sign(plain), times),  # type: ignore[misc]
            "check": microseconds(lambda signed=signed: signatures.refusal(signed), times),  # type: ignore[misc]
            "parse": microseconds(lambda signed=signed: parse_task(signed.headers, signed.value), times),  # type: ignore[misc]
        }
        told = ", ".join(f"{name} {cost:,.1f} us" for name, cost in figures.items())
        sys.stdout.write(f"{size:>12,} bytes: {told}\n")


if __name__ == "__main__":
    main()
