"""VAPID keys: which pairs are refused, and whom their proofs name."""

from __future__ import annotations

import time

import jwt
import pytest
from muster_local.push_crypto import check_proof
from notify_service.__main__ import print_pair
from notify_service.vapid import KeyPair, Proofs, check_pair, new_pair
from rotc.errors import UnusableVapidKey

SUBJECT = "mailto:unit@example.org"
PAIR = new_pair()


def test_a_proof_is_made_for_its_push_service_only_and_kept_for_an_hour() -> None:
    clock = [0.0]
    proofs = Proofs(PAIR, SUBJECT, now=lambda: time.time() + clock[0])

    first, other = proofs.header("https://push.example"), proofs.header("https://other.example")

    assert check_proof(first, "https://push.example").claims["aud"] == "https://push.example"
    assert check_proof(other, "https://other.example").key == PAIR.public
    assert proofs.header("https://push.example") == first
    clock[0] = 3601.0
    renewed = proofs.header("https://push.example")
    claims = jwt.decode(renewed.split("t=")[1].split(",")[0], options={"verify_signature": False})
    assert renewed != first
    assert claims["sub"] == SUBJECT


@pytest.mark.parametrize(
    ("pair", "subject", "said"),
    [
        (KeyPair("", PAIR.private), SUBJECT, "VAPID_PUBLIC_KEY is no public key"),
        (KeyPair(PAIR.public, ""), SUBJECT, "VAPID_PRIVATE_KEY has to be 32 bytes"),
        (KeyPair(PAIR.public, "A" * 43), SUBJECT, "VAPID_PRIVATE_KEY is no private key"),
        (KeyPair(PAIR.public, new_pair().private), SUBJECT, "different pairs"),
        (PAIR, "unit@example.org", "VAPID_SUBJECT"),
        (PAIR, "mailto:unit", "VAPID_SUBJECT"),
    ],
)
def test_a_pair_that_cannot_work_is_refused_with_its_setting(pair: KeyPair, subject: str, said: str) -> None:
    with pytest.raises(UnusableVapidKey, match=said):
        check_pair(pair, subject)


def test_a_refused_pair_does_not_show_its_private_half() -> None:
    assert PAIR.private not in repr(PAIR)


def test_the_command_prints_a_pair_that_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    print_pair()

    told = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert told.keys() == {"VAPID_PUBLIC_KEY", "VAPID_PRIVATE_KEY"}
    check_pair(KeyPair(told["VAPID_PUBLIC_KEY"], told["VAPID_PRIVATE_KEY"]), SUBJECT)
