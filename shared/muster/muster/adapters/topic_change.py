"""What must change on a topic so that it stands as declared. Pure; kafka_admin and memory carry it out."""

from __future__ import annotations

from collections.abc import Mapping

from muster.contracts.topics import TopicSpec
from muster.ports import TopicChange


def topic_change(spec: TopicSpec, partitions: int | None, config: Mapping[str, str]) -> TopicChange:
    """What to do about `spec` where the topic has `partitions` (None: does not exist) and `config` set on it."""
    if partitions is None:
        return TopicChange(spec.name, "create", f"{spec.partitions} partitions")
    details = []
    if spec.partitions > partitions:
        details.append(f"partitions {partitions} -> {spec.partitions}")
    details += [f"{key} {config.get(key, 'default')} -> {value}" for key, value in differing(spec, config)]
    if details:
        return TopicChange(spec.name, "alter", ", ".join(details))
    kept = f"{partitions} partitions, {spec.partitions} declared: Kafka cannot shrink a topic"
    return TopicChange(spec.name, "keep", kept if partitions > spec.partitions else "")


def differing(spec: TopicSpec, config: Mapping[str, str]) -> list[tuple[str, str]]:
    """Declared settings that the topic has not."""
    return sorted((key, value) for key, value in spec.config.items() if config.get(key) != value)
