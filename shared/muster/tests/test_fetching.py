"""A stranger's URL must neither reach into our network nor hold a worker up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.adapters import fetching
from muster.adapters.fetching import (
    Fetcher,
    FetchFailed,
    FetchRefused,
    FetchRules,
    check_addresses,
    check_url,
    is_public,
    resolve,
)

RULES = FetchRules.parse("files.example.org, .cdn.example.net")
PUBLIC = "93.184.216.34"
URL = "https://files.example.org/a.jpg?token=secret"
Answer = Callable[[httpx.Request], httpx.Response]


def fetcher(answer: Answer, addresses: Sequence[str] = (PUBLIC,), rules: FetchRules = RULES) -> Fetcher:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    return Fetcher(rules, resolver=resolver, transport=httpx.MockTransport(answer))


def body(content: bytes) -> Answer:
    return lambda request: httpx.Response(200, stream=httpx.ByteStream(content))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://files.example.org/a.jpg", "Only https"),
        ("ftp://files.example.org/a.jpg", "Only https"),
        ("file:///etc/passwd", "Only https"),
        ("https://evil.example.com/a.jpg", "'evil.example.com'"),
        ("https://files.example.org.evil.com/", "not fetched from"),
        ("https://evilfiles.example.org/", "not fetched from"),
        ("https://evilcdn.example.net/", "not fetched from"),
        ("https://files.example.org@evil.com/", "'evil.com'"),
        ("https://evil.com#@files.example.org/", "'evil.com'"),
        ("https://evil.com\\@files.example.org/", "user name or password"),
        ("https://me:secret@files.example.org/", "user name or password"),
        ("https://files.example.org:8443/", "port 8443"),
        ("https://127.0.0.1/", "'127.0.0.1'"),
        ("https://[::1]/", "'::1'"),
        ("https://2130706433/", "not fetched from"),
        ("https:///a.jpg", "not fetched from"),
        ("https://files.example.org:port/", "cannot be read"),
        ("not a url", "Only https"),
        ("", "Only https"),
    ],
)
def test_an_address_outside_the_rules_is_refused(url: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason) as caught:
        check_url(url, RULES)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", [URL, "https://FILES.example.org./a", "https://a.b.cdn.example.net:443/x", " https://files.example.org/ "]
)
def test_an_allowed_host_may_be_asked(url: str) -> None:
    assert check_url(url, RULES).scheme == "https"


def test_no_host_is_allowed_unless_named() -> None:
    with pytest.raises(FetchRefused):
        check_url(URL, FetchRules.parse(""))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:4700::1111", True),
        ("64:ff9b::5db8:d822", True),  # the same public address as seen through NAT64
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # cloud metadata
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  an address to be refused
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),  # 6to4 around 127.0.0.1
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@given(st.ip_addresses())
def test_every_address_is_judged(address: object) -> None:
    assert is_public(str(address)) in (True, False)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(FetchRefused, match="not public"):
        check_addresses("files.example.org", [PUBLIC, "10.0.0.1"], RULES)


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"picture"))

    assert await fetcher(answer).fetch(URL, max_bytes=100) == b"picture"

    assert (seen[0].url.host, seen[0].url.path) == (PUBLIC, "/a.jpg")
    assert seen[0].headers["host"] == "files.example.org"
    assert seen[0].extensions["sni_hostname"] == "files.example.org"


async def test_nothing_is_sent_to_a_private_address() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("a request was made")

    with pytest.raises(FetchRefused, match="not public"):
        await fetcher(answer, ["169.254.169.254"]).fetch(URL, max_bytes=100)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://evil.com/", "'evil.com'"),
        ("http://files.example.org/", "Only https"),
        ("//169.254.169.254/latest", "169.254"),
        ("/again", "more than 3 times"),
    ],
)
async def test_every_redirect_is_checked_like_the_first_address(location: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason):
        await fetcher(lambda request: httpx.Response(302, headers={"location": location})).fetch(URL, max_bytes=100)


async def test_a_redirect_inside_the_rules_is_followed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a.jpg":
            return httpx.Response(307, headers={"location": "https://eu.cdn.example.net/b.jpg"})
        assert request.headers["host"] == "eu.cdn.example.net"
        return httpx.Response(200, stream=httpx.ByteStream(b"moved"))

    assert await fetcher(answer).fetch(URL, max_bytes=100) == b"moved"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, FetchRefused) for status in (204, 304, 403, 404, 410)),
        *((status, FetchFailed) for status in (408, 429, 500, 503)),
    ],
)
async def test_only_what_may_pass_is_worth_another_try(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(status)) as caught:
        await fetcher(lambda request: httpx.Response(status)).fetch(URL, max_bytes=100)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("header", "after"), [("7", 7), ("99999999", 600), ("Wed, 21 Oct 2026", None), ("٣", None)])
async def test_the_wait_that_a_server_asks_for_is_kept(header: str, after: float | None) -> None:
    busy = httpx.Response(503, headers=[(b"retry-after", header.encode())])

    with pytest.raises(FetchFailed) as caught:
        await fetcher(lambda request: busy).fetch(URL, max_bytes=1)

    assert caught.value.after == after


async def test_a_body_is_cut_off_at_the_limit_whatever_was_declared() -> None:
    with pytest.raises(FetchRefused, match="larger than the 1 MB"):
        await fetcher(body(bytes(2 << 20))).fetch(URL, max_bytes=1 << 20)
    declared = httpx.Response(200, headers={"content-length": "5000000000"}, stream=httpx.ByteStream(b""))
    with pytest.raises(FetchRefused, match="larger than the 1 MB"):
        await fetcher(lambda request: declared).fetch(URL, max_bytes=1 << 20)

    assert len(await fetcher(body(bytes(1 << 20))).fetch(URL, max_bytes=1 << 20)) == 1 << 20


async def test_a_compressed_body_is_not_unpacked() -> None:
    packed = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b"))

    with pytest.raises(FetchRefused, match="compressed"):
        await fetcher(lambda request: packed).fetch(URL, max_bytes=100)


async def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(FetchRefused, match="no host called"):
        await resolve("no-such-host.invalid", 443)
    with pytest.raises(FetchRefused, match="longer than DNS allows"):
        await resolve("a" * 70 + ".example.org", 443)


@pytest.fixture
async def drip() -> AsyncIterator[int]:
    """The port of a server that sends one byte and then never another."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /whole"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n.")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_drips_is_given_up_on(drip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TOTAL_SECONDS", 0.2)
    local = Fetcher(FetchRules.parse("localhost", allow_private=True))

    with pytest.raises(FetchFailed, match="did not arrive"):
        await local.fetch(f"http://localhost:{drip}/", max_bytes=100)


async def test_the_next_address_is_tried_when_one_is_unreachable(drip: int) -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "::1", "127.0.0.1"]

    local = Fetcher(FetchRules.parse("files.example.org", allow_private=True), resolver=resolver)

    assert await local.fetch(f"http://files.example.org:{drip}/whole", max_bytes=100) == b"whole"


async def test_a_port_where_nobody_listens_is_worth_another_try() -> None:
    local = Fetcher(FetchRules.parse("127.0.0.1", allow_private=True))

    with pytest.raises(FetchFailed, match="could not be reached"):
        await local.fetch("http://127.0.0.1:9/", max_bytes=100)
