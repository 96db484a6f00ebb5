"""The run's broker does not fill up with the topics of tests that have ended."""

from __future__ import annotations

import uuid

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.topics import TopicSpec
from muster.settings import KafkaSettings
from muster_local.kafka import KafkaServer
from muster_local.spent_topics import BATCH, SpentTopics

pytestmark = pytest.mark.kafka


async def test_topics_of_ended_tests_go_together_and_those_of_others_stay(kafka_server: KafkaServer) -> None:
    admin = KafkaBroker(KafkaSettings(bootstrap_servers=kafka_server.bootstrap)).admin()
    await admin.start()
    prefixes = [f"t{uuid.uuid4().hex[:7]}." for _ in range(BATCH + 1)]
    names = [prefix + "lane" for prefix in prefixes]
    await admin.apply([TopicSpec(name, 2, {}) for name in names])
    spent = SpentTopics(kafka_server.bootstrap, kafka_server.log.parent / "data")

    for prefix in prefixes[:BATCH]:
        assert set(await admin.partitions(names)) == set(names), "none goes before the batch is full"
        spent.add(prefix)

    assert set(await admin.partitions(names)) == {names[-1]}
    assert [folder.name for folder in (kafka_server.log.parent / "data").glob(f"{names[0]}*")] == []
    await admin.stop()
