"""A scheduler that is killed at the worst moment: records written to a lane inside a transaction, nothing committed.

`python dying_scheduler.py TOPIC N` is `python -m scheduler_service` until the N-th commit of a transaction with records
for TOPIC; there it kills itself.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from aiokafka import AIOKafkaProducer
from scheduler_service.__main__ import main


def die_in(topic: str, left: int) -> None:
    """From now on, the `left`-th commit of a transaction that wrote to `topic` is the last act of this process."""
    send, commit = AIOKafkaProducer.send, AIOKafkaProducer.commit_transaction
    writing: set[AIOKafkaProducer] = set()

    async def noted_send(producer: AIOKafkaProducer, to: str, *arguments: Any, **keywords: Any) -> Any:
        if to == topic:
            writing.add(producer)
        return await send(producer, to, *arguments, **keywords)

    async def commit_or_die(producer: AIOKafkaProducer) -> None:
        nonlocal left
        if producer in writing:
            writing.discard(producer)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        await commit(producer)

    AIOKafkaProducer.send, AIOKafkaProducer.commit_transaction = noted_send, commit_or_die


if __name__ == "__main__":
    die_in(sys.argv[1], int(sys.argv[2]))
    sys.exit(main())
