"""What needs no broker: the hash of keys, the connection settings, errors in the engine's words."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RequestTimedOutError,
)
from muster.adapters.kafka import KafkaBroker, connection_options
from muster.adapters.kafka_errors import broker_error, commit_error
from muster.adapters.kafka_producer import LARGE_AT_ONCE, KafkaProducer
from muster.adapters.partitioning import murmur2, partition_of, partitioner
from muster.contracts.errors import BrokerError, CommitRefused, ConfigurationError
from muster.contracts.topics import MAX_BODY_BYTES, MAX_DEAD_LETTER_BYTES, MAX_RECORD_BYTES, Topics
from muster.settings import KafkaSettings
from pydantic import SecretStr


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # The vectors of Kafka's own tests of its Java client.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_hash_as_in_java(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF
    assert partition_of(key, 6) == (signed & 0x7FFFFFFF) % 6


def test_a_record_without_key_goes_where_there_is_a_leader() -> None:
    assert partitioner(None, [0, 1, 2], [1]) == 1
    assert partitioner(None, [2], []) == 2
    assert partitioner(b"foobar", [0, 1, 2, 3], [1]) == partition_of(b"foobar", 4)


def test_a_plain_connection_needs_only_its_servers() -> None:
    assert connection_options(KafkaSettings(bootstrap_servers="a:1, b:2,")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_and_tls_take_effect_through_the_protocol() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="muster",
        sasl_password=SecretStr("s3cret"),
    )

    options = connection_options(settings)

    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_password"] == "s3cret"
    assert options["ssl_context"].check_hostname


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (KafkaSettings(bootstrap_servers=" , "), "KAFKA_BOOTSTRAP_SERVERS names no broker"),
        (KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN"), "needs KAFKA_SASL_USERNAME and"),
        (KafkaSettings(security_protocol="SSL", ssl_certfile="c.pem"), "set both or neither"),
        (KafkaSettings(security_protocol="SSL", ssl_cafile="/missing.pem"), r"TLS files .*missing\.pem"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_sentence(settings: KafkaSettings, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        KafkaBroker(settings)


def test_a_text_file_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        KafkaBroker(KafkaSettings(security_protocol="SSL", ssl_cafile=str(tmp_path / "ca.pem")))


@pytest.mark.parametrize("error", [CommitFailedError(), IllegalStateError("not assigned")])
def test_a_commit_that_came_too_late_is_refused_not_unknown(error: KafkaError) -> None:
    assert isinstance(commit_error("lane/0", error), CommitRefused)


def test_a_commit_without_an_answer_has_an_unknown_outcome() -> None:
    error = commit_error("lane/0", RequestTimedOutError())

    assert not isinstance(error, CommitRefused)
    assert str(error).startswith("the outcome of committing lane/0 is unknown")


def test_errors_say_what_was_tried() -> None:
    assert str(broker_error("write to lane", TimeoutError())) == "Kafka could not write to lane: no answer in time"
    assert "MessageSizeTooLarge" in str(broker_error("write to lane", MessageSizeTooLargeError()))
    assert "fenced" in str(broker_error("move 3 records", ProducerFenced()))


async def test_clients_that_were_not_started_refuse() -> None:
    broker = KafkaBroker(KafkaSettings())

    with pytest.raises(BrokerError, match="not running"):
        await broker.producer().send("lane", b"x", key=b"k")
    with pytest.raises(BrokerError, match="not running"):
        await broker.consumer().poll()
    with pytest.raises(BrokerError, match="not running"):
        await broker.admin().partitions(["lane"])


async def test_a_broker_that_is_not_there_is_one_sentence_with_its_address() -> None:
    producer = KafkaProducer(
        connection_options(KafkaSettings(bootstrap_servers="127.0.0.1:1")), client_id="t", linger_ms=0
    )

    with pytest.raises(BrokerError, match=r"could not be reached at 127\.0\.0\.1:1"):
        await producer.start()


def test_every_topic_takes_a_file_of_20_mb_and_large_requests_stay_below_the_brokers_limit() -> None:
    base64_of_20_mb = 4 * 20 * 1024 * 1024 // 3

    assert base64_of_20_mb < MAX_BODY_BYTES < MAX_RECORD_BYTES
    sizes = {spec.name: int(spec.config["max.message.bytes"]) for spec in Topics().specs()}
    assert sizes.pop("tasks.dead-letter") == MAX_DEAD_LETTER_BYTES
    assert set(sizes.values()) == {MAX_RECORD_BYTES}
    assert LARGE_AT_ONCE * MAX_DEAD_LETTER_BYTES < 100 * 1024 * 1024
