"""What a signature covers: every bit of what decides what runs, and nothing that may change on the way."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from muster.contracts.signature import COVERED, REFUSAL, SIGNATURE, Headers, Signatures, Signed, canonical, parse_keys
from muster.contracts.topics import Topics
from muster.settings import Settings, SigningSettings
from pydantic import ValidationError

TOPICS = Topics("unit.")
LANE = TOPICS.lane("media")
FACTS = (TOPICS.events, TOPICS.control, TOPICS.catalog, TOPICS.workers, TOPICS.schedules, TOPICS.dead_letter)
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SIGNATURES = Signatures(TOPICS, {"k1": OLD})

names = st.one_of(
    st.sampled_from(["ce_id", "ce_type", "task-attempt", "task-notbefore", "task-key", "content-type", "traceparent"]),
    st.builds(lambda prefix, rest: prefix + rest, st.sampled_from(COVERED), st.text(max_size=5)),
    st.text(max_size=8),
).filter(lambda name: name not in (SIGNATURE, "dl-signature", REFUSAL))
headers = st.lists(st.tuples(names, st.binary(max_size=12)), max_size=5)
records = st.builds(
    Signed,
    st.sampled_from([LANE, TOPICS.retry, TOPICS.keyed, TOPICS.delay(8), *FACTS]),
    st.none() | st.binary(max_size=8),
    st.none() | st.binary(max_size=30),
    headers,
)


def signed(what: Signed, signatures: Signatures = SIGNATURES) -> Signed:
    return what._replace(headers=signatures.sign(what))


def covered(given: Headers) -> list[tuple[str, bytes]]:
    return sorted((pair for pair in given if pair[0].startswith(COVERED)), key=lambda pair: pair[0])


@given(records)
def test_what_was_signed_is_believed(what: Signed) -> None:
    assert SIGNATURES.refusal(signed(what)) is None


@given(records, st.data())
def test_one_changed_bit_of_what_is_covered_is_refused(what: Signed, data: st.DataObject) -> None:
    good = signed(what)
    parts: list[tuple[int, int]] = [(-1, len(good.value or b""))]
    parts += [(n, len(raw)) for n, (name, raw) in enumerate(good.headers) if name.startswith(COVERED)]
    number, length = data.draw(st.sampled_from([part for part in parts if part[1]]))
    bit = data.draw(st.integers(0, 8 * length - 1))

    bad = good._replace(value=flipped(good.value or b"", bit)) if number < 0 else with_flipped(good, number, bit)

    assert SIGNATURES.refusal(bad) is not None


@given(records, st.sampled_from([TOPICS.lane("media", "high"), TOPICS.retry, "staging.tasks.media.default"]))
def test_a_record_signed_for_one_topic_is_refused_in_another(what: Signed, other: str) -> None:
    assume(what.topic != other)
    staging = Signatures(Topics("staging."), {"k1": OLD})
    reader = staging if other.startswith("staging") else SIGNATURES

    assert reader.refusal(signed(what)._replace(topic=other)) is not None


@given(records, records)
def test_two_different_records_never_have_the_same_bytes(one: Signed, other: Signed) -> None:
    task = one.topic not in FACTS

    def meaning(what: Signed) -> object:
        about = (what.value or b"",) if task else (what.key, what.value)
        return (what.topic, about, covered(what.headers))

    same = canonical(one, task=task) == canonical(other, task=task)
    assert same == (meaning(one) == meaning(other))


@given(st.lists(st.binary(max_size=6), max_size=6), st.lists(st.binary(max_size=6), max_size=6))
def test_bytes_moved_from_one_part_to_the_next_are_another_record(one: Sequence[bytes], other: Sequence[bytes]) -> None:
    """The classic fault of signatures over parts that are only joined."""

    def of(parts: Sequence[bytes]) -> bytes:
        return canonical(Signed(LANE, None, b"", [("ce_id", part) for part in parts]), task=True)

    assert (of(one) == of(other)) == (list(one) == list(other))


def test_headers_that_decide_nothing_may_change_on_the_way() -> None:
    good = signed(Signed(LANE, b"k", b"{}", [("ce_id", b"a"), ("traceparent", b"00-1"), ("x-unit", b"7")]))
    others = [("baggage", b"new"), *(pair for pair in reversed(good.headers) if not pair[0].startswith("x-"))]

    assert SIGNATURES.refusal(good._replace(key=None, headers=others)) is None


def test_a_key_of_the_control_topic_is_what_it_is_about() -> None:
    good = signed(Signed(TOPICS.control, b"task-1", None, []))

    assert SIGNATURES.refusal(good._replace(key=b"task-2")) is not None
    assert SIGNATURES.refusal(good._replace(value=b"")) is not None, "a tombstone is no empty order"


def test_while_keys_change_both_are_accepted_and_the_first_signs() -> None:
    task = Signed(LANE, None, b"{}", [("ce_id", b"a"), ("ce_type", b"noop")])
    both = Signatures(TOPICS, {"k2": NEW, "k1": OLD})

    assert both.refusal(signed(task)) is None
    assert dict(both.sign(task))[SIGNATURE].startswith(b"v1:k2:")
    assert SIGNATURES.refusal(signed(task, both)) == "it is signed with the key k2, which is not accepted"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "it is not signed (header task-signature)"),
        ([b"v1:k1:" + b"0" * 64], "its signature (key k1) does not fit: it was changed, or signed for another topic"),
        ([b"v1:k9:" + b"0" * 64], "it is signed with the key k9, which is not accepted"),
        ([b"v2:k1:" + b"0" * 64], "header task-signature must be v1:<key id>:<64 hexadecimal digits>"),
        ([b"\xff"], "header task-signature must be v1:<key id>:<64 hexadecimal digits>"),
        ([b""], "header task-signature must be v1:<key id>:<64 hexadecimal digits>"),
        ([b"a", b"b"], "it has several headers task-signature"),
    ],
)
@pytest.mark.parametrize("accept_unsigned", [False, True])
def test_a_refusal_says_why_and_only_what_is_unsigned_may_be_accepted(
    given: list[bytes], reason: str, accept_unsigned: bool
) -> None:
    reader = Signatures(TOPICS, {"k1": OLD}, accept_unsigned=accept_unsigned)

    refusal = reader.refusal(Signed(LANE, None, b"{}", [("ce_id", b"a"), *((SIGNATURE, raw) for raw in given)]))

    assert refusal == (None if accept_unsigned and not given else reason)


def test_a_refused_record_is_signed_by_nobody() -> None:
    """Whoever passes it on, whole or in part, must not make it believable."""
    marked = Signed(LANE, None, b"{}", [(REFUSAL, b"it is not signed"), ("ce_id", b"a"), (SIGNATURE, b"x")])

    assert SIGNATURES.sign(marked) == [("ce_id", b"a")]


def test_the_signature_is_an_hmac_that_any_language_can_make() -> None:
    task = Signed(LANE, b"any", b'{"n": 1}', [("ce_type", b"noop"), ("ce_id", b"a1"), ("x", b"y")])

    text = b"14:muster-task-v1,24:unit.tasks.media.default,8:" + b'{"n": 1},5:ce_id,2:a1,7:ce_type,4:noop,'
    assert canonical(task, task=True) == text
    assert dict(SIGNATURES.sign(task))[SIGNATURE].decode() == f"v1:k1:{hmac.new(OLD, text, 'sha256').hexdigest()}"


def test_other_topics_are_left_alone() -> None:
    stats = Signed(TOPICS.stats, b"k", b"{}", [("a", b"b")])

    assert SIGNATURES.sign(stats) == stats.headers
    assert SIGNATURES.refusal(stats) is None


@pytest.mark.parametrize(
    "text",
    ["", "k1", "k1:zz", f"k1:{'ab' * 31}", f"k 1:{'ab' * 32}", f"k1:{'ab' * 32},", f"k1:{'ab' * 32},k1:{'cd' * 32}"],
)
def test_keys_that_cannot_work_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="MUSTER_SIGNING_KEYS") as raised:
        parse_keys(text)

    assert "ab" not in str(raised.value).replace("a backend", "")
    assert "zz" not in str(raised.value)


def test_keys_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_SIGNING_KEYS", f"k2:{NEW.hex()},k1:{OLD.hex()}")
    settings = Settings()

    assert settings.signing.keys == {"k2": NEW, "k1": OLD}
    for text in (repr(settings), str(settings.model_dump()), repr(Signatures(TOPICS, settings.signing.keys))):
        assert NEW.hex() not in text
        assert repr(NEW) not in text

    monkeypatch.setenv("MUSTER_SIGNING_KEYS", f"k2:{NEW.hex()},k1:too-short-a-secret")
    with pytest.raises(ValidationError, match="entry 2") as raised:
        Settings()
    assert NEW.hex() not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_keys_nothing_is_signed() -> None:
    assert SigningSettings().keys == {}
    with pytest.raises(ValueError, match="at least one key"):
        Signatures(TOPICS, {})


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def with_flipped(what: Signed, number: int, bit: int) -> Signed:
    changed = list(what.headers)
    name, raw = changed[number]
    changed[number] = (name, flipped(raw, bit))
    return what._replace(headers=changed)
