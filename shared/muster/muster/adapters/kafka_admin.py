"""Administration of a Kafka cluster: topics as they are declared, and the offsets of groups. It deletes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from muster.adapters.kafka_access import not_started
from muster.adapters.kafka_errors import KAFKA_FAILURES, broker_error
from muster.adapters.topic_change import differing, topic_change
from muster.contracts.errors import BrokerError
from muster.contracts.topics import TopicSpec
from muster.ports import Bookmark, TopicChange, TopicPartition

REQUEST_SECONDS = 20
#: DescribeConfigs says where a value comes from; 1 is "set on this topic".
_SET_ON_TOPIC = 1
_LOOK_AGAIN_SECONDS = 0.05


class KafkaAdmin:
    """Cluster administration (ports.Admin)."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._options = {**connection, "client_id": "muster-admin", "request_timeout_ms": REQUEST_SECONDS * 1000}
        self._client: AIOKafkaAdminClient | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: no broker answered.
        """
        client = AIOKafkaAdminClient(**self._options)
        try:
            await client.start()
        except KAFKA_FAILURES as error:
            await client.close()
            doing = f"be reached at {', '.join(self._options['bootstrap_servers'])}"
            raise await not_started(self._options, doing, error) from error
        self._client = client

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def apply(
        self, specs: Iterable[TopicSpec], *, replication_factor: int = 1, dry_run: bool = False
    ) -> list[TopicChange]:
        wanted = list(specs)
        try:
            existing = await self.partitions([spec.name for spec in wanted])
            configs = await self._configs(list(existing))
            changes = [topic_change(spec, existing.get(spec.name), configs.get(spec.name, {})) for spec in wanted]
            if not dry_run:
                await self._create([s for s in wanted if s.name not in existing], replication_factor)
                await self._widen([s for s in wanted if s.partitions > existing.get(s.name, s.partitions)])
                await self._alter([s for s in wanted if differing(s, configs.get(s.name, {}))], configs)
                await self._known(wanted)
        except KAFKA_FAILURES as error:
            raise broker_error("apply the topics", error) from error
        return changes

    async def partitions(self, topics: Collection[str]) -> dict[str, int]:
        if not topics:
            return {}
        try:
            described = await self._running().describe_topics(list(topics))
        except KAFKA_FAILURES as error:
            raise broker_error("describe its topics", error) from error
        hidden = [topic["topic"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno]
        if hidden:
            raise BrokerError(f"Kafka does not let us see {', '.join(hidden)}: an ACL is missing (docs/security.md)")
        return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        return {partition: bookmark.offset for partition, bookmark in (await self.bookmarks(group)).items()}

    async def bookmarks(self, group: str) -> dict[TopicPartition, Bookmark]:
        try:
            offsets = await self._running().list_consumer_group_offsets(group)
        except KAFKA_FAILURES as error:
            raise broker_error(f"tell the offsets of group {group}", error) from error
        return {TopicPartition(*p): Bookmark(found.offset, found.metadata or "") for p, found in offsets.items()}

    async def _create(self, specs: list[TopicSpec], replication_factor: int) -> None:
        if not specs:
            return
        topics = [NewTopic(s.name, s.partitions, replication_factor, topic_configs=s.config) for s in specs]
        response = await self._running().create_topics(topics)
        refused = [entry for entry in response.topic_errors if entry[1] != TopicAlreadyExistsError.errno]
        _check(refused, "create topic")

    async def _widen(self, specs: list[TopicSpec]) -> None:
        if specs:
            await self._running().create_partitions({s.name: NewPartitions(s.partitions) for s in specs})

    async def _known(self, specs: list[TopicSpec]) -> None:
        """Return when the broker tells clients of all of it: the controller answers a little earlier."""
        async with asyncio.timeout(REQUEST_SECONDS):
            while True:
                known = await self.partitions([s.name for s in specs])
                configs = await self._configs(list(known))
                if all(known.get(s.name, 0) >= s.partitions and not differing(s, configs[s.name]) for s in specs):
                    return
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _configs(self, topics: list[str]) -> dict[str, dict[str, str]]:
        """What is set on each topic itself, without the broker's defaults."""
        if not topics:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
        found: dict[str, dict[str, str]] = {}
        for response in await self._running().describe_configs(resources):
            _check(((name, code, text) for code, text, _, name, _ in response.resources), "read the settings of")
            for _, _, _, name, entries in response.resources:
                found[name] = {entry[0]: entry[1] for entry in entries if entry[3] == _SET_ON_TOPIC}
        return found

    async def _alter(self, specs: list[TopicSpec], configs: Mapping[str, Mapping[str, str]]) -> None:
        # aiokafka has only the full AlterConfigs, which forgets what it is not told: so tell what others have set.
        changed = [s for s in specs if s.name in configs]
        if not changed:
            return
        resources = [ConfigResource(ConfigResourceType.TOPIC, s.name, {**configs[s.name], **s.config}) for s in changed]
        for response in await self._running().alter_configs(resources):
            _check(((name, code, text) for code, text, _, name in response.resources), "change the settings of")

    def _running(self) -> AIOKafkaAdminClient:
        if self._client is None:
            raise BrokerError("the admin client is not running: start it first")
        return self._client


def _check(errors: Iterable[tuple[str, int, str | None]], doing: str) -> None:
    for name, code, text in errors:
        if code:
            kind: Callable[[str], BaseException] = for_code(code)
            raise BrokerError(f"Kafka could not {doing} {name}: {kind(text or '')}")
