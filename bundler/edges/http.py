"""HTTP to registries, through `httpx`, imported only when something is fetched.

Redirects are followed here and nowhere else, so that credentials never go along to another place and no
answer leads into the local network (reliability.md H57-H68). Bodies are taken as they are (no content
coding), bounded by what the caller expects, and resumed with Range after a break.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from bundler.edges.network import failure
from bundler.errors import SourceError

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
TRIES = 5
CONNECT_TRIES = 2  # nobody there, or no network: waiting longer seldom helps
LONGEST_WAIT_S = 10.0
LONGEST_GET_S = 300.0  # for a document of some megabytes; a server that sends a byte now and then never is idle
PIECE_BYTES = 1 << 20
_ONLINE = "is the machine online?"
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class UnreachedError(SourceError):
    """Nobody answers at an address, or not in time."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer read to its end; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Idempotent requests, retried up to five times. Every error is a SourceError naming the address's host.

    `idle_s` ends a request on which nothing arrives for so long.
    """

    def __init__(self, *, idle_s: float = 30.0, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx

        self._client = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(idle_s, connect=min(idle_s, 15.0)),
            headers={"Accept-Encoding": "identity", "User-Agent": "graphbundle"},
        )
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, limit_bytes: int) -> Response:
        """The whole answer, whatever its status; a longer body than `limit_bytes` is a SourceError."""
        import httpx

        ends_at = time.monotonic() + LONGEST_GET_S
        for number in _tries(self._sleep):
            last = number == TRIES - 1
            with _named(url), self._open(url, dict(headers or {}), number) as answer:
                if answer is None:
                    continue
                body = bytearray()
                try:
                    for piece in answer.iter_raw():
                        body += piece
                        if len(body) > limit_bytes:
                            raise SourceError(f"{_host(url)} sends more than {limit_bytes:,} bytes for {_path(url)}")
                        if time.monotonic() > ends_at:
                            raise SourceError(f"{_host(url)} takes more than {LONGEST_GET_S:g} s for {_path(url)}")
                except httpx.TransportError:
                    if last:
                        raise
                    continue
                return Response(url, answer.status_code, dict(answer.headers.items()), bytes(body))
        raise AssertionError("the last try returns or raises")

    def download(self, url: str, *, headers: Callable[[], Mapping[str, str]], size_bytes: int) -> Iterator[bytes]:
        """Exactly `size_bytes` of a body, continued where it broke off, with the `headers` of that moment.
        The caller checks the digest."""
        done, number = 0, 0
        while True:
            before = done
            sent = {**headers(), **({"Range": f"bytes={done}-"} if done else {})}
            with _named(url), self._open(url, sent, number) as answer:
                if answer is not None:
                    skip = self._start_of(answer, done, url)
                    for piece in _until_broken(answer, last=number == TRIES - 1):
                        fresh = piece[skip:] if skip else piece
                        skip -= min(skip, len(piece))
                        done += len(fresh)
                        if done > size_bytes:
                            raise SourceError(f"{_host(url)} sends more than the {size_bytes:,} bytes of {_path(url)}")
                        if fresh:
                            yield fresh
            if done == size_bytes:
                return
            number = 0 if done > before else number + 1  # what makes progress may go on as long as it does
            if number == TRIES:
                raise SourceError(f"{_host(url)} sent {done:,} of {size_bytes:,} bytes of {_path(url)}")
            self._sleep(_wait_s(number))

    @staticmethod
    def _start_of(answer: httpx.Response, done: int, url: str) -> int:
        """How many bytes of the answer are known already."""
        if answer.status_code == 200:
            return done
        if answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {done}-"):
            return 0
        raise SourceError(f"{_host(url)} answers {answer.status_code} for {_path(url)}")

    @contextmanager
    def _open(self, url: str, headers: dict[str, str], number: int) -> Iterator[httpx.Response | None]:
        """The answer after redirects, body unread; None where trying again may help."""
        import httpx

        place = url
        for _ in range(MAX_REDIRECTS + 1):
            require_allowed(place, url)
            sent = headers if _origin(place) == _origin(url) else _without_credentials(headers)
            try:
                answer = self._client.send(self._client.build_request("GET", place, headers=sent), stream=True)
            except httpx.TransportError as error:
                if number >= (CONNECT_TRIES if isinstance(error, httpx.ConnectError) else TRIES) - 1:
                    raise
                yield None
                return
            try:
                target = answer.headers.get("location")
                if answer.status_code in (301, 302, 303, 307, 308) and target:
                    place = _joined(place, target, url)
                    continue
                yield None if answer.status_code in _TRANSIENT and number < TRIES - 1 else answer
                return
            finally:
                answer.close()
        raise SourceError(f"{_host(url)} redirects more than {MAX_REDIRECTS} times for {_path(url)}")


def is_loopback(host: str) -> bool:
    """Whether a host (without port) is this machine: there, registries speak plain HTTP."""
    address = _address(host)
    return host.rstrip(".") == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """What a host in digits stands for, however a resolver would let it be written (`127.1`, `2130706433`,
    `::ffff:127.0.0.1`); None for a name."""
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _tries(sleep: Callable[[float], None]) -> Iterator[int]:
    """Numbers from 0, with a wait before all but the first."""
    for number in range(TRIES):
        if number:
            sleep(_wait_s(number))
        yield number


def _wait_s(number: int) -> float:
    """Growing, with jitter; a server's Retry-After is not obeyed beyond it."""
    longest = min(LONGEST_WAIT_S, 2.0 ** (number - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _until_broken(answer: httpx.Response, *, last: bool) -> Iterator[bytes]:
    """The body in pieces of about 1 MiB; what came before a break is handed out too."""
    import httpx

    waiting: list[bytes] = []
    size_bytes = 0
    broken: httpx.TransportError | None = None
    try:
        for piece in answer.iter_raw():
            waiting.append(piece)
            size_bytes += len(piece)
            if size_bytes >= PIECE_BYTES:
                yield b"".join(waiting)
                waiting, size_bytes = [], 0
    except httpx.TransportError as error:
        broken = error
    if waiting:
        yield b"".join(waiting)
    if broken is not None and last:
        raise broken


@contextmanager
def _named(url: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise UnreachedError(f"{_host(url)} does not answer in time", hint=_ONLINE) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachedError(f"{_host(url)} cannot be reached: {failure(error)[1]}", hint=_ONLINE) from error


def require_allowed(place: str, asked: str) -> None:
    """Refuse an address that a server may not send us to: other schemes, a fall to plain HTTP, this network."""
    first = urlsplit(asked)
    try:
        parts = urlsplit(place)
        host, _ = parts.hostname or "", parts.port  # both are read now: either may be nonsense
    except ValueError as error:
        raise SourceError(f"{_host(asked)} leads to an address that is not followed: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise SourceError(f"{_host(asked)} leads to an address that is not followed: {parts.scheme}:")
    if place == asked:
        return
    if parts.scheme == "http" and first.scheme == "https":
        raise SourceError(f"{_host(asked)} leads from https to http")
    address = _address(host)
    if (is_loopback(host) or host.rstrip(".").endswith(".localhost")) and not is_loopback(first.hostname or ""):
        raise SourceError(f"{_host(asked)} leads to this machine")
    if address is not None and (address.is_link_local or address.is_unspecified or address.is_multicast):
        raise SourceError(f"{_host(asked)} leads to {address}, which is not followed")


def _joined(place: str, target: str, asked: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(place, target)
    except ValueError as error:
        raise SourceError(f"{_host(asked)} leads to an address that is not followed: {error}") from error


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in ("authorization", "cookie")}


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _path(url: str) -> str:
    return urlsplit(url).path
