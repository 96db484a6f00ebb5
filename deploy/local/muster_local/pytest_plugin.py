"""Fixtures of real parts for every test of the workspace: Apache Kafka and PostgreSQL. Holds no test.

- `kafka` -> str: bootstrap servers of the run's broker. Name your topics and groups with `topic_prefix`.
- `topic_prefix` -> str: unique for the test, like "t1a2b3c4.".
- `postgres` -> str: DSN of a database made for this test alone, dropped after it (about 50 ms).
- `kafka_server`, `postgres_server`: the servers themselves, one per test run, also under pytest-xdist.

They start lazily (about two seconds each, once) and FAIL, never skip, when a part cannot start.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaServer, start_kafka
from muster_local.placement import open_temporary_folder
from muster_local.postgres import PostgresOptions, PostgresServer, start_postgres
from muster_local.shared_server import Started, end_orphans, shared
from muster_local.spent_topics import SpentTopics

#: There once a test has asked for the broker.
_SPENT = pytest.StashKey[SpentTopics]()


@pytest.fixture(scope="session")
def muster_run_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of this test run: the same in all of its pytest-xdist workers."""
    workers = getattr(request.config, "workerinput", None)
    run = workers["testrunuid"] if workers else f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    runs = open_temporary_folder()
    end_orphans(runs)
    yield runs / run
    if not workers:
        shutil.rmtree(runs / run, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_server(muster_run_folder: Path, request: pytest.FixtureRequest) -> Iterator[KafkaServer]:
    """The broker of this test run."""
    jars = cache()

    def start(folder: Path) -> Started:
        server = start_kafka(folder, jars, KafkaOptions(heap_megabytes=512, quick_compiler=True))
        return {"bootstrap": server.bootstrap, "port": server.port}, server.identity

    folder = muster_run_folder / "kafka"
    with shared(folder, start) as (facts, identity):
        request.config.stash[_SPENT] = SpentTopics(facts["bootstrap"], folder / "data")
        yield KafkaServer(facts["bootstrap"], facts["port"], identity, folder / "kafka.log")


@pytest.fixture(scope="session")
def kafka(kafka_server: KafkaServer) -> str:
    """Bootstrap servers of the broker, like "127.0.0.1:23456"."""
    return kafka_server.bootstrap


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """A prefix that no other test has, for topics, groups and transactional ids; its topics go after the test."""
    prefix = f"t{uuid.uuid4().hex[:7]}."
    yield prefix
    spent = request.config.stash.get(_SPENT, None)
    if spent is not None:
        spent.add(prefix)


@pytest.fixture(scope="session")
def postgres_server(muster_run_folder: Path) -> Iterator[PostgresServer]:
    """The database server of this test run, without fsync."""

    def start(folder: Path) -> Started:
        server = start_postgres(folder, PostgresOptions(durable=False))
        return {"port": server.port, "password": server.password}, server.identity

    folder = muster_run_folder / "postgres"
    with shared(folder, start) as (facts, identity):
        yield PostgresServer(facts["port"], facts["password"], identity, folder / "postgres.log", None)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """DSN of an empty database of this test alone."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)
