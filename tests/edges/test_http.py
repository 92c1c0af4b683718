"""Servers that misbehave: redirects, tokens, downloads that break off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from bundler.collect.reference import Reference
from bundler.collect.registry import Repository
from bundler.edges.http import HttpClient, require_allowed
from bundler.errors import SourceError
from bundler.model.oci import MANIFEST, Descriptor, Digest
from tests.http_server import Handle, answer


def client() -> HttpClient:
    return HttpClient(idle_s=2.0, sleep=lambda _: None)


BODY = os.urandom(300_000)


def test_a_token_is_fetched_anonymously_where_the_registry_asks(server: Callable[[Handle], str]) -> None:
    seen: list[tuple[str, str | None]] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers.get("Authorization")))
        if handler.path.startswith("/token?"):
            answer(handler, 200, b'{"token": "canary"}')
        elif handler.headers.get("Authorization") == "Bearer canary":
            answer(handler, 200, b"{}", Content_Type=MANIFEST)
        else:
            realm = f'Bearer realm="http://{handler.headers["Host"]}/token",service="s",scope="x"'
            answer(handler, 401, WWW_Authenticate=realm)

    with client() as http:
        assert Repository(http, Reference.parse(f"{server(handle)}/acme/web:1")).find().data == b"{}"
    assert seen[1] == ("/token?scope=repository%3Aacme%2Fweb%3Apull&service=s", None)


def test_a_token_never_goes_along_to_another_place(server: Callable[[Handle], str]) -> None:
    seen: list[str | None] = []

    def other(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        answer(handler, 200, BODY)

    elsewhere = server(other)
    here = server(lambda handler: answer(handler, 307, Location=f"http://{elsewhere}/blob"))
    with client() as http:
        data = b"".join(
            http.download(f"http://{here}/x", headers=lambda: {"Authorization": "Bearer canary"}, size_bytes=len(BODY))
        )
    assert data == BODY
    assert seen == [None]


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "http://0.0.0.0/", "file:///etc/passwd", "ftp://x/y"]
)
def test_a_redirect_into_the_network_is_not_followed(server: Callable[[Handle], str], target: str) -> None:
    here = server(lambda handler: answer(handler, 302, Location=target))
    with client() as http, pytest.raises(SourceError, match="not followed"):
        http.get(f"http://{here}/x", limit_bytes=10)


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://localhost./",
        "https://x.localhost/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/latest",
        "https://user@registry.example/",
        "https://[/",
        "https://[::zz]/",
        "https://registry.example:99999/",
        "http://registry.example/",
        "//",
    ],
)
def test_an_address_on_this_network_is_found_in_any_spelling(target: str) -> None:
    with pytest.raises(SourceError, match="leads"):
        require_allowed(target, "https://registry.example/v2/x")


@pytest.mark.parametrize("target", ["https://[/", "http://h:99999/", "http://h:x/", "http:///x"])
def test_a_redirect_to_nonsense_is_refused(server: Callable[[Handle], str], target: str) -> None:
    here = server(lambda handler: answer(handler, 302, Location=target))
    with client() as http, pytest.raises(SourceError):
        http.get(f"http://{here}/x", limit_bytes=10)
    realm = server(lambda handler: answer(handler, 401, WWW_Authenticate=f'Bearer realm="{target}"'))
    with client() as http, pytest.raises(SourceError):
        Repository(http, Reference.parse(f"{realm}/acme/web:1")).find()


def test_a_body_that_drips_ends(server: Callable[[Handle], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.02)

    monkeypatch.setattr("bundler.edges.http.LONGEST_GET_S", 0.2)
    here = server(drip)
    with client() as http, pytest.raises(SourceError, match=r"more than 0\.2 s"):
        http.get(f"http://{here}/x", limit_bytes=1000)


def test_a_document_of_another_size_than_its_descriptor_says_is_refused(server: Callable[[Handle], str]) -> None:
    here = server(lambda handler: answer(handler, 200, b"{}"))
    with client() as http:
        repository = Repository(http, Reference.parse(f"{here}/acme/web:1"))
        assert repository.document(Descriptor(MANIFEST, Digest.of(b"{}"), 2)) == b"{}"
        for wanted in (Descriptor(MANIFEST, Digest.of(b"{}"), 1), Descriptor(MANIFEST, Digest.of(b"[]"), 2)):
            with pytest.raises(SourceError, match="others"):
                repository.document(wanted)


def test_redirects_end(server: Callable[[Handle], str]) -> None:
    here = server(lambda handler: answer(handler, 302, Location="/again"))
    with client() as http, pytest.raises(SourceError, match="redirects more than"):
        http.get(f"http://{here}/x", limit_bytes=10)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_is_continued(server: Callable[[Handle], str], *, ranges: bool) -> None:
    asked: list[str | None] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and ranges else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", str(len(BODY) - start))
        handler.end_headers()
        handler.wfile.write(BODY[start : start + 100_000] if len(asked) < 3 else BODY[start:])
        handler.close_connection = True

    here = server(handle)
    with client() as http:
        data = b"".join(http.download(f"http://{here}/x", headers=dict, size_bytes=len(BODY)))
    assert data == BODY
    assert asked[0] is None
    assert asked[1] is not None


def test_a_wrong_range_is_never_glued_on(server: Callable[[Handle], str]) -> None:
    count = iter(range(100))

    def handle(handler: BaseHTTPRequestHandler) -> None:
        if next(count) == 0:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(BODY)))
            handler.end_headers()
            handler.wfile.write(BODY[:1000])
            handler.close_connection = True
        else:
            answer(handler, 206, BODY[5:], Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")

    here = server(handle)
    with client() as http, pytest.raises(SourceError, match="answers 206"):
        b"".join(http.download(f"http://{here}/x", headers=dict, size_bytes=len(BODY)))


def test_more_than_announced_is_refused(server: Callable[[Handle], str]) -> None:
    here = server(lambda handler: answer(handler, 200, BODY))
    with client() as http:
        with pytest.raises(SourceError, match="more than the 10 bytes"):
            b"".join(http.download(f"http://{here}/x", headers=dict, size_bytes=10))
        with pytest.raises(SourceError, match="more than 10 bytes"):
            http.get(f"http://{here}/x", limit_bytes=10)


def test_passing_failures_are_retried_and_lasting_ones_told(server: Callable[[Handle], str]) -> None:
    count = iter(range(100))
    here = server(lambda handler: answer(handler, 503 if next(count) < 3 else 200, b"ok", Retry_After="1000000000"))
    with client() as http:
        assert http.get(f"http://{here}/x", limit_bytes=10).body == b"ok"
        lasting = server(lambda handler: answer(handler, 500))
        assert http.get(f"http://{lasting}/x", limit_bytes=10).status == 500


def test_a_server_that_falls_silent_is_left(server: Callable[[Handle], str]) -> None:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(1.0)

    here = server(handle)
    with (
        HttpClient(idle_s=0.2, sleep=lambda _: None) as http,
        pytest.raises(SourceError, match="does not answer in time"),
    ):
        http.get(f"http://{here}/x", limit_bytes=10)


def test_nobody_there_is_one_line() -> None:
    with client() as http, pytest.raises(SourceError, match=r"127\.0\.0\.1:1 cannot be reached"):
        http.get("http://127.0.0.1:1/x", limit_bytes=10)
