"""Fetches a file from a URL that a stranger named, without letting the stranger reach into our network.

Which hosts may be asked is decided here; what the bytes mean is not.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

from muster.contracts.errors import PermanentError, Retry

MAX_REDIRECTS = 3
TOTAL_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 600.0  # a Retry-After beyond it is a mistake or an attack
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV6_INTERNET = ipaddress.IPv6Network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchRefused(PermanentError):
    """The URL may not be fetched, or never gives the file; trying again cannot help."""


class FetchFailed(Retry):
    """The other side did not answer properly this time; `after` (seconds) is what it asked for, if anything."""


@dataclass(frozen=True)
class FetchRules:
    """Where files may come from."""

    #: Exact host names in lower case; ".example.com" stands for every host below it.
    allowed_hosts: frozenset[str]
    #: Local demo only: private addresses, plain http and any port.
    allow_private: bool = False

    @classmethod
    def parse(cls, hosts: str, *, allow_private: bool = False) -> FetchRules:
        """Rules from a comma-separated list of hosts."""
        names = (name.strip().lower().rstrip(".") for name in hosts.split(","))
        return cls(frozenset(name for name in names if name), allow_private)

    def allows(self, host: str) -> bool:
        """Whether the list names the host or a domain above it."""
        parents = (host[index:] for index, letter in enumerate(host) if letter == ".")
        return host in self.allowed_hosts or any(parent in self.allowed_hosts for parent in parents)


def check_url(url: str, rules: FetchRules) -> httpx.URL:
    """The URL as it will be requested; the parser that decides is the one that connects.

    Raises FetchRefused, whose text names the host only: the path or query of a signed URL is a secret.
    """
    try:
        parsed = httpx.URL(url.strip())
        host = parsed.raw_host.decode("ascii").lower().rstrip(".")  # names in other scripts in their DNS form
        parsed = parsed.copy_with(host=host)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused("The URL cannot be read: send a complete https:// address.") from error
    if parsed.scheme != "https" and not (parsed.scheme == "http" and rules.allow_private):
        raise FetchRefused("Only https:// addresses are fetched.")
    if not rules.allows(host):
        raise FetchRefused(f"Files are not fetched from {host!r}: ask the operators to add it to the allowed hosts.")
    if parsed.userinfo:
        raise FetchRefused("An address with a user name or password in it is not fetched.")
    if parsed.port not in (None, 443) and not rules.allow_private:
        raise FetchRefused(f"Files are fetched from the standard https port only, not from port {parsed.port}.")
    return parsed


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the open internet, looking through IPv6 forms that carry an IPv4 address."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.sixtofour is not None or address.teredo is not None or address not in _IPV6_INTERNET:
            return False
    return address.is_global and not address.is_multicast


def check_addresses(host: str, addresses: Sequence[str], rules: FetchRules) -> None:
    """One private address among several is enough to refuse: the client might be led to that one.

    Raises FetchRefused.
    """
    if not rules.allow_private and not all(is_public(address) for address in addresses):
        raise FetchRefused(f"{host!r} leads to an address that is not public.")


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, from the system's resolver.

    Raises FetchRefused for a name that does not exist, FetchFailed when the resolver does not answer.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise FetchRefused("The name of the host is longer than DNS allows.") from error
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise FetchRefused(f"There is no host called {host!r}.") from error
        raise FetchFailed(f"The address of {host!r} could not be found out just now.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


class Fetcher:
    """Fetches files over HTTP under fixed rules. Each hop connects to an address that was checked, not to a name."""

    def __init__(
        self, rules: FetchRules, *, resolver: Resolve = resolve, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._rules = rules
        self._resolve = resolver
        self._transport = transport
        self._tls = ssl.create_default_context()

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The bytes behind a URL, after at most three redirects and thirty seconds in all.

        Raises:
            FetchRefused: the URL, a host on the way, or the answer is not acceptable.
            FetchFailed: worth another try.
        """
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._follow(url, max_bytes)
        except TimeoutError as error:
            raise FetchFailed(f"The file did not arrive within {TOTAL_SECONDS:.0f} s.") from error

    async def _follow(self, url: str, max_bytes: int) -> bytes:
        target = check_url(url, self._rules)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._hop(target, max_bytes)
            if isinstance(answer, bytes):
                return answer
            target = check_url(str(answer), self._rules)
        raise FetchRefused(f"{_host(target)!r} redirects more than {MAX_REDIRECTS} times.")

    async def _hop(self, target: httpx.URL, max_bytes: int) -> bytes | httpx.URL:
        """One request: the body, or where it redirects to."""
        port = target.port or (443 if target.scheme == "https" else 80)
        addresses = await self._resolve(_host(target), port)
        check_addresses(_host(target), addresses, self._rules)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._request(target, address, max_bytes)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error  # the next address may be reachable where this one is not
            except httpx.TransportError as error:
                raise FetchFailed(f"The connection to {_host(target)!r} broke: {type(error).__name__}.") from error
        raise FetchFailed(f"{_host(target)!r} could not be reached.") from failure

    async def _request(self, target: httpx.URL, address: str, max_bytes: int) -> bytes | httpx.URL:
        # A client per request: a pool would hand a connection verified for one name to another at the same address.
        client = httpx.AsyncClient(
            transport=self._transport, verify=self._tls, trust_env=False, follow_redirects=False, timeout=10.0
        )
        # The name stays in Host and in the TLS handshake, so that certificates are checked against it.
        headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        checked = target.copy_with(host=address)
        extensions = {"sni_hostname": _host(target)}
        async with client, client.stream("GET", checked, headers=headers, extensions=extensions) as response:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return target.join(response.headers["location"])
            _check_status(_host(target), response)
            return await _read(response, max_bytes)


def _check_status(host: str, response: httpx.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    message = f"{host!r} answered with status {status}."
    if status >= 500 or status in _WORTH_ANOTHER_TRY:
        asked = response.headers.get("retry-after", "")
        raise FetchFailed(message, after=min(int(asked), LONGEST_WAIT_SECONDS) if _is_number(asked) else None)
    raise FetchRefused(message)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    too_large = FetchRefused(f"The file is larger than the {max_bytes / (1 << 20):.0f} MB that are accepted.")
    if response.headers.get("content-encoding", "identity") != "identity":
        # Unpacking would undo the size limit: a few kilobytes can unpack to gigabytes.
        raise FetchRefused("The file arrives compressed although that was not asked for.")
    declared = response.headers.get("content-length", "")
    if _is_number(declared) and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)
