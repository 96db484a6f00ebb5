"""Kafka's errors in the engine's words: one sentence that says what was tried, and why it failed. No I/O."""

from __future__ import annotations

from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from muster.contracts.errors import BrokerError, CommitRefused

#: What aiokafka raises when the cluster refuses or does not answer; assertions are its answer to an unknown partition.
KAFKA_FAILURES = (KafkaError, ConsumerStoppedError, TimeoutError, OSError, AssertionError)

#: The group moved on: who asks does not own the partitions any more.
MOVED_ON = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


def broker_error(doing: str, error: BaseException) -> BrokerError:
    """What to raise instead of `error`; `doing` completes "Kafka could not ..."."""
    if isinstance(error, (ProducerFenced, InvalidProducerEpoch)):
        return BrokerError(f"Kafka could not {doing}: a newer producer with the same transactional id fenced this one")
    return BrokerError(f"Kafka could not {doing}: {_reason(error)}")


def commit_error(partitions: str, error: BaseException) -> BrokerError:
    """The refusal of a commit, told apart from an unknown outcome."""
    if isinstance(error, MOVED_ON):
        return CommitRefused(f"the group moved on, the offsets of {partitions} were not committed: {_reason(error)}")
    return BrokerError(f"the outcome of committing {partitions} is unknown: {_reason(error)}")


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    text = str(error)
    if isinstance(error, TimeoutError) and not text:
        return "no answer in time"
    return text if name in text else f"{name}: {text}" if text else name
