"""A mail's bytes: what the headers hold, that every parser reads them, that nobody can add one."""

from __future__ import annotations

import email
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.policy import strict

import pytest
from notify_service.domain.addresses import BadAddress, masked, parse_address, parse_sender, without_addresses
from notify_service.domain.mail_message import Mail, Words, encode, message_id
from notify_service.domain.mail_texts import Stationery, grade_words, letter_words, message_words

PAPER = Stationery("Mindanao State University – Sultan Naga Dimaporo", "1002nd CDC", "https://app.unit.example")
LINK = "https://muster.unit.example/api/notifications/unsubscribe-mail?token=1234567.ABCDEFGHIJKLMNOPQRSTUV"
SENDER = parse_sender("ROTC Yunit Ñ <noreply@unit.example>")
ID = message_id("task-1", "ana@cadets.example", "unit.example")


def mail(words: Words, unsubscribe: str | None = LINK) -> Mail:
    return Mail(SENDER, "ana@cadets.example", words, ID, datetime(2026, 1, 10, 9, 0, tzinfo=UTC), unsubscribe)


def parsed(data: bytes) -> EmailMessage:
    """As a strict reader sees it: a defect anywhere raises."""
    message = email.message_from_bytes(data, policy=strict)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize(
    "words",
    [
        message_words(PAPER, "Word", "Hello"),
        message_words(PAPER, "Ñandú " * 40, "Long lines: " + "x" * 5_000 + "\n\n.\nFrom me\n" + "ñ" * 3_000, LINK),
        grade_words(PAPER, "María José", "final_score", "92.5", LINK),
        letter_words(PAPER, "李", date(2026, 1, 4), "rejected", "The scan cannot be read.", LINK),
    ],
    ids=["short", "long and not ASCII", "grade", "letter"],
)
def test_every_mail_is_read_by_a_strict_parser_and_fits_the_wire(words: Words) -> None:
    data = encode(mail(words))

    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert data.isascii()
    message = parsed(data)
    assert message["Subject"] == words.subject
    assert message["List-Unsubscribe"] == f"<{LINK}>"
    assert f"List-Unsubscribe: <{LINK}>\r\n".encode() in data, "an encoded link would be found by nobody"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == ID
    assert message["From"].addresses[0].display_name == "ROTC Yunit Ñ"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert text.get_content().splitlines() == words.text.splitlines()
    assert html is not None
    assert html.get_content().splitlines() == words.html.splitlines()


def test_the_same_mail_of_a_task_is_the_same_bytes() -> None:
    words = message_words(PAPER, "Word", "Hello")

    assert encode(mail(words)) == encode(mail(words))
    assert message_id("t", "Ana@x.example", "d") == message_id("t", "ana@x.example", "d")
    assert message_id("t", "ana@x.example", "d") != message_id("u", "ana@x.example", "d")


def test_strangers_get_no_unsubscribe_header() -> None:
    message = parsed(encode(mail(message_words(PAPER, "Word", "Hello"), unsubscribe=None)))

    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None


def test_what_people_wrote_stays_text_in_html() -> None:
    evil = "<script>alert(1)</script> & https://unit.example/a?b=1&c=2"

    message = message_words(PAPER, "<b>Subject</b>", evil).html
    letter = letter_words(PAPER, "<i>Ana</i>", date(2026, 1, 4), "approved", evil).html

    assert "<script>" not in message + letter
    assert "<i>Ana" not in letter
    assert "<title>&lt;b&gt;Subject" in message
    assert 'href="https://unit.example/a?b=1&amp;c=2"' in message


def test_texts_say_what_the_mail_is_about() -> None:
    grade = grade_words(PAPER, "Ana", "prelim", "88", LINK)
    letter = letter_words(PAPER, "Ana", date(2026, 1, 4), "rejected", "No signature.")

    assert grade.subject == "Grade Update: Prelim"
    assert "Your Prelim has been updated to: 88" in grade.text
    assert f"Stop them: {LINK}" in grade.text
    assert letter.subject == "Excuse Letter Rejected"
    assert "Your excuse letter for January 4, 2026 has been rejected.\nReason: No signature.\n" in letter.text
    assert "Stop them" not in letter.text


@pytest.mark.parametrize(
    "address",
    ["ana", "ana@", "ana@x.com\r\nBcc: b@x.com", "ana@x.com, b@x.com", "Ana <ana@x.com>", "ana @x.com", "a" * 400],
)
def test_what_is_no_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse_address(address)

    assert address not in str(refused.value)


def test_a_domain_of_another_script_goes_over_the_wire_as_ascii() -> None:
    assert parse_address("ana@Münchén.example") == "ana@xn--mnchn-esa3k.example"


def test_a_sender_cannot_bring_a_header_along() -> None:
    with pytest.raises(BadAddress):
        parse_sender("Unit\r\nBcc: all@unit.example <noreply@unit.example>")


def test_addresses_are_told_masked() -> None:
    assert masked("ana.cruz1@cadets.example") == "a***@cadets.example"
    said = "5.1.1 <ana.cruz1@cadets.example>: Recipient address rejected\r\n (in reply to RCPT)"
    assert without_addresses(said) == "5.1.1 <a***@cadets.example>: Recipient address rejected (in reply to RCPT)"
