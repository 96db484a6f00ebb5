"""Payloads of pushes: what the service worker finds in them, how long they get, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_service.domain.push_message import LARGEST_PAYLOAD_BYTES, UnusablePush, build_payload


def read(payload: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(payload)
    return content


def test_what_a_notification_shows_stands_beside_title_and_body_and_the_rest_is_data() -> None:
    data = {
        "url": "/grades", "icon": "https://unit.example/icon.png", "actions": [{"action": "open", "title": "Open"}],
        "requireInteraction": True, "silent": False, "cadet_id": 7,
    }  # fmt: skip

    content = read(build_payload("Grade", "Prelim: 91", data))

    assert content == {
        "title": "Grade", "body": "Prelim: 91", "url": "/grades", "icon": "https://unit.example/icon.png",
        "actions": [{"action": "open", "title": "Open"}], "requireInteraction": True, "silent": False,
        "data": {"cadet_id": 7},
    }  # fmt: skip


def test_a_push_without_data_has_title_and_body_only() -> None:
    assert read(build_payload("Formation", "0600 at the field")) == {"title": "Formation", "body": "0600 at the field"}


@pytest.mark.parametrize("letter", ["a", "ñ", "李", "🪖", '"', "\n"])
def test_a_body_that_fits_to_the_last_byte_is_whole_and_one_more_is_visibly_cut(letter: str) -> None:
    room = LARGEST_PAYLOAD_BYTES - len(build_payload("T", ""))
    per_letter = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    fitting = letter * (room // per_letter) + "a" * (room % per_letter)

    whole, cut = build_payload("T", fitting), build_payload("T", fitting + "a")

    assert (len(whole), read(whole)["body"]) == (LARGEST_PAYLOAD_BYTES, fitting)
    assert len(cut) <= LARGEST_PAYLOAD_BYTES
    assert read(cut)["body"].endswith("…")


@pytest.mark.parametrize("joined", ["e\u0301", "👩\u200d✈\ufe0f", "👍🏽"])
def test_a_body_is_not_cut_inside_what_is_read_as_one_character(joined: str) -> None:
    for shift in range(8):
        body = read(build_payload("T", "a" * shift + joined * 2000))["body"]

        kept = body.removesuffix("…").removeprefix("a" * shift)
        assert kept == joined * (len(kept) // len(joined))


def test_data_that_leaves_no_room_for_the_message_is_refused() -> None:
    with pytest.raises(UnusablePush, match="of the 3993 bytes"):
        build_payload("T", "m" * 100, {"blob": "x" * 3930})


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"url": "javascript:alert(1)"}, "data.url"),
        ({"url": "//elsewhere.example"}, "data.url"),
        ({"url": "/\\elsewhere.example"}, "data.url"),
        ({"icon": "http://plain.example/i.png"}, "data.icon"),
        ({"icon": 7}, "data.icon"),
        ({"silent": "yes"}, "data.silent"),
        ({"actions": "open"}, "data.actions"),
        ({"actions": [{"action": "open"}]}, "data.actions"),
        ({"actions": [{"action": "open", "title": ""}]}, "data.actions"),
        ({"actions": [{"action": "a", "title": "A"}] * 5}, "data.actions"),
        ({"blob": float("nan")}, "number"),
    ],
)
def test_a_field_of_a_wrong_form_is_refused_by_its_name(data: dict[str, Any], named: str) -> None:
    with pytest.raises(UnusablePush, match=named):
        build_payload("T", "m", data)


@given(st.text(min_size=1, max_size=200), st.text(max_size=5000))
def test_every_payload_is_json_within_the_limit(title: str, body: str) -> None:
    payload = build_payload(title, body)

    assert len(payload) <= LARGEST_PAYLOAD_BYTES
    assert read(payload).keys() == {"title", "body"}
