"""A Kafka that asks who comes: every client gets in by TLS and SASL or a certificate, and is told why if not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.topics import TopicSpec
from muster.ports import TopicPartition
from muster.settings import KafkaSettings
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaSecurity, KafkaServer, start_kafka
from muster_local.ports import free_port
from muster_local.postgres import PostgresServer

from .api import Api
from .certificates import Authority
from .system import PRACTICE, System, start_system

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
#: Its types leave out half of what it exports.
kafka_admin: Any = confluent_kafka.admin
SECURITY = Path(__file__).parents[2] / "docs/security.md"
_PLAIN_USERS = ("plain", "records")
_SCRAM_USERS = ("muster", "client", "operator")
_SECONDS = 20.0
PREFIX = "secured."
ALLOW = kafka_admin.AclPermissionType.ALLOW


@dataclass
class Secured:
    """One broker with all ways in, and the passwords of who may come."""

    server: KafkaServer
    security: KafkaSecurity
    authority: Authority
    stranger: Authority
    passwords: dict[str, str] = field(repr=False)

    def way(self, user: str, **changes: str) -> dict[str, str]:
        """The environment of a program that comes by SASL_SSL."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.security.sasl,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN" if user in _PLAIN_USERS else "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": self.passwords[user],
            "KAFKA_SSL_CAFILE": str(self.authority.file),
            **changes,
        }

    def certificate(self) -> dict[str, str]:
        """The environment of a program that comes by its certificate."""
        certificate, key = self.authority.issue("machine")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.security.mutual,
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CAFILE": str(self.authority.file),
            "KAFKA_SSL_CERTFILE": str(certificate),
            "KAFKA_SSL_KEYFILE": str(key),
        }

    def admin(self) -> Any:
        """By the plain listener, which may do everything."""
        return kafka_admin.AdminClient({"bootstrap.servers": self.server.bootstrap})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority.create(folder / "authority")
    passwords = {user: secrets.token_urlsafe(16) for user in (*_PLAIN_USERS, *_SCRAM_USERS)}
    security = KafkaSecurity(
        sasl_port=free_port(), mutual_port=free_port(), certificate=authority.issue_joined("broker"),
        authority=authority.file, users={user: passwords[user] for user in _PLAIN_USERS}, trusted=("plain", "machine"),
    )  # fmt: skip
    options = KafkaOptions(heap_megabytes=384, quick_compiler=True, security=security)
    server = start_kafka(folder, cache(), options)
    try:
        secured = Secured(server, security, authority, Authority.create(folder / "stranger"), passwords)
        give_scram(secured)
        grant(secured)
        yield secured
    finally:
        server.stop()


def give_scram(secured: Secured) -> None:
    info = kafka_admin.ScramCredentialInfo(kafka_admin.ScramMechanism.SCRAM_SHA_512, 4096)
    wanted = [
        kafka_admin.UserScramCredentialUpsertion(user, info, secured.passwords[user].encode()) for user in _SCRAM_USERS
    ]
    admin = secured.admin()  # a name of its own: without one it would end before the answer comes
    for done in admin.alter_user_scram_credentials(wanted).values():
        done.result(_SECONDS)


def grant(secured: Secured) -> None:
    """The ACLs as docs/security.md lists them."""
    block = SECURITY.read_text().partition("```acl\n")[2].partition("```")[0]
    wanted = []
    for line in block.splitlines():
        user, kind, name, *operations = line.split()
        pattern = kafka_admin.ResourcePatternType["PREFIXED" if name.endswith("*") else "LITERAL"]
        resource = kafka_admin.ResourceType[kind.replace("-", "_").upper()]
        wanted += [
            kafka_admin.AclBinding(
                resource, PREFIX + name.rstrip("*"), pattern, f"User:{user}", "*", permitted(operation), ALLOW
            )
            for operation in operations
        ]
    admin = secured.admin()
    for done in admin.create_acls(wanted).values():
        done.result(_SECONDS)


def permitted(operation: str) -> Any:
    return kafka_admin.AclOperation[re.sub(r"(?<!^)([A-Z])", r"_\1", operation).upper()]


@pytest.fixture(scope="module")
def system(
    secured: Secured, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """Everything comes by SCRAM over TLS, each with the ACLs it needs."""
    made = muster(secured.way("operator"), "topics", "apply")
    assert made.returncode == 0, made.stderr
    dsn = postgres_server.create_database("secured")
    folder = tmp_path_factory.mktemp("system")
    system = start_system(folder, secured.server.bootstrap, PREFIX, dsn, secured.way("muster"))
    system.practice().start()
    with closing(Api(system)) as api:
        api.knows("nap")
    yield system
    system.stop()
    postgres_server.drop_database("secured")


def muster(way: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(way, "-m", "muster.cli", *arguments)


def run(way: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "MUSTER_TOPIC_PREFIX": PREFIX, **way}
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("by", ["PLAIN", "SCRAM-SHA-512", "certificate"])
async def test_every_client_gets_in(secured: Secured, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    way = {"PLAIN": secured.way("plain"), "SCRAM-SHA-512": secured.way("muster")}.get(by) or secured.certificate()
    for name, value in way.items():
        monkeypatch.setenv(name, value)
    broker, topic = KafkaBroker(KafkaSettings()), f"{PREFIX}tasks.round-trip-{by.lower()}"
    plain = KafkaBroker(KafkaSettings(bootstrap_servers=secured.server.bootstrap, security_protocol="PLAINTEXT"))
    await create(plain, topic)

    producer, mover = broker.producer(), broker.transactional_producer(f"{PREFIX}muster.{by}")
    await producer.start()
    await (await producer.send(topic, b"produced"))
    await producer.stop()
    await mover.start()
    await mover.move([(topic, None, b"moved", ())], {TopicPartition(topic, 0): 1}, f"{PREFIX}muster.{by}")
    await mover.stop()
    consumer = broker.consumer(group=f"{PREFIX}muster.{by}-readers")
    consumer.subscribe([topic])
    await consumer.start()
    values: list[bytes | None] = []
    async with asyncio.timeout(_SECONDS):
        while len(values) < 2:
            values += [record.value for record in await consumer.poll(timeout=1)]
    await consumer.stop()

    assert values == [b"produced", b"moved"]
    assert await partitions(broker, topic) == 1


async def create(broker: KafkaBroker, topic: str) -> None:
    admin = broker.admin()
    await admin.start()
    await admin.apply([TopicSpec(topic, 1)])
    await admin.stop()


async def partitions(broker: KafkaBroker, topic: str) -> int:
    admin = broker.admin()
    await admin.start()
    try:
        return (await admin.partitions([topic]))[topic]
    finally:
        await admin.stop()


def test_the_whole_system_works_through_it(system: System, secured: Secured, api: Api) -> None:
    by_api = api.submit("stumble", {"times": 1}, countdown=1)
    by_command = muster(secured.way("client"), "submit", "nap", "seconds:=0", "--json")
    listed = muster(secured.way("muster"), "topics", "list", "--json")

    assert by_command.returncode == 0, by_command.stderr
    assert listed.returncode == 0, listed.stderr
    assert api.ended(by_api)["attempt"] == 2, "through retry, delay and lane"
    assert api.ended(json.loads(by_command.stdout)["task_id"])["status"] == "SUCCESS"


def test_a_foreign_producer_writes_to_its_lane_and_nowhere_else(system: System, secured: Secured, api: Api) -> None:
    task_id, topics = uuid.uuid4().hex, system.topics
    headers = {"ce_id": task_id, "ce_type": "nap"}

    refusals = [foreign(secured, topic, headers) for topic in (topics.events, topics.control, topics.retry)]
    assert foreign(secured, topics.lane("notify"), headers) is None

    assert refusals == [confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED] * 3
    assert api.ended(task_id)["status"] == "SUCCESS"


def foreign(secured: Secured, topic: str, headers: dict[str, str]) -> int | None:
    """Write with librdkafka; the code of the broker's refusal."""
    codes: list[int | None] = []
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": secured.security.sasl, "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN",
            "sasl.username": "records", "sasl.password": secured.passwords["records"],
            "ssl.ca.location": str(secured.authority.file), "log_level": 0,
        }
    )  # fmt: skip
    producer.produce(
        topic, b'{"seconds": 0}', headers=list(headers.items()),
        on_delivery=lambda error, _: codes.append(None if error is None else error.code()),
    )  # fmt: skip
    producer.flush(_SECONDS)
    [code] = codes
    return code


PROGRAMS = {
    "worker": (str(PRACTICE),),
    "scheduler": ("-m", "scheduler_service"),
    "tracker": ("-m", "tracker_service"),
    "command line": ("-m", "muster.cli", "topics", "list"),
}


@pytest.mark.parametrize(
    ("fault", "program"),
    [*(("password", program) for program in PROGRAMS), ("authority", "worker"), ("protocol", "command line")],
)
def test_who_is_not_let_in_says_why_in_one_sentence_and_ends(
    system: System, secured: Secured, fault: str, program: str
) -> None:
    wrong, sentence = {
        "password": (
            {"KAFKA_SASL_PASSWORD": "a-wrong-password"},
            "does not let muster in by SCRAM-SHA-512: check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD",
        ),
        "authority": (
            {"KAFKA_SSL_CAFILE": str(secured.stranger.file)},
            "is not trusted (unable to get local issuer certificate): check KAFKA_SSL_CAFILE",
        ),
        "protocol": (
            {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
            "closed the connection: is KAFKA_SECURITY_PROTOCOL=PLAINTEXT what this port speaks?",
        ),
    }[fault]
    environment = {**system.tracker.part.env, **secured.way("muster", **wrong), "MUSTER_HTTP_PORT": "0"}

    done = run(environment | {"TRACKER_HTTP_PORT": "0"}, *PROGRAMS[program])

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert sum(sentence in line for line in said.splitlines()) == 1, said
    assert "Traceback" not in said
    for secret in ("a-wrong-password", *secured.passwords.values()):
        assert secret not in said


def test_a_topic_we_may_not_see_is_no_missing_topic(system: System, secured: Secured) -> None:
    done = muster(secured.way("records"), "topics", "list")

    assert done.returncode != 0
    assert "an ACL is missing" in done.stderr
