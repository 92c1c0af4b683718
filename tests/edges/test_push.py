"""Pushing to registries that misbehave, with what docker keeps of credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from urllib.parse import parse_qsl, urlsplit

import pytest

from bundler.edges.credentials import credentials, pairs
from bundler.edges.push import Registry
from bundler.errors import TargetError
from bundler.model.oci import Descriptor, Digest
from tests.http_server import Handle, answer


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Writes docker's config.json."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return lambda config: (tmp_path / "config.json").write_text(json.dumps(config)) and None


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


BYTES = b"x" * (8 << 20)
BLOB = Descriptor("application/octet-stream", Digest.of(BYTES), len(BYTES))


# registries


@pytest.mark.parametrize(
    ("challenge", "token", "reason"),
    [
        ("Bearer realm", b"", "not followed"),
        ('Bearer realm="file:///etc/passwd"', b"", "not followed"),
        ('Bearer realm="http://[/"', b"", "not followed"),
        ('Bearer realm="http://HOST/token"', b"<html>", "does not answer with a token"),
        ('Bearer realm="http://HOST/token"', b"[1]", "does not answer with a token"),
        ('Bearer realm="http://HOST/token"', b"{}", "does not answer with a token"),
        ('Bearer realm="http://HOST/token"', rb'{"token": "a\nb"}', "does not answer with a token"),
    ],
)
def test_a_registry_that_asks_for_nonsense_is_named(
    server: Callable[[Handle], str], docker: Callable[[object], None], challenge: str, token: bytes, reason: str
) -> None:
    docker({})

    def handle(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            answer(handler, 200, token)
        else:
            answer(handler, 401, WWW_Authenticate=challenge.replace("HOST", handler.headers["Host"]))

    host = server(handle)
    with pytest.raises(TargetError, match=reason) as caught:
        Registry(host).try_push("site/app")
    assert host in caught.value.what


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ({}, "does not say where"),
        ({"Location": "http://[/x"}, "no address"),
        ({"Location": "ftp://elsewhere/x"}, "not followed"),
    ],
)
def test_a_registry_that_sends_to_nowhere_is_named(
    server: Callable[[Handle], str], docker: Callable[[object], None], location: Mapping[str, str], reason: str
) -> None:
    docker({})
    host = server(lambda handler: answer(handler, 202, **location))
    with pytest.raises(TargetError, match=reason) as caught:
        Registry(host).put_blob("site/app", BLOB, [BYTES])
    assert host in caught.value.what


def test_what_a_token_server_is_asked_stays_in_its_address(
    server: Callable[[Handle], str], docker: Callable[[object], None]
) -> None:
    docker({})
    seen: list[str] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            seen.append(handler.path)
            answer(handler, 200, b'{"token": "canary"}')
        elif handler.headers.get("Authorization") == "Bearer canary":
            answer(handler, 202, Location="/upload")
        else:
            realm = f'Bearer realm="http://{handler.headers["Host"]}/token?account=a",service="s"'
            answer(handler, 401, WWW_Authenticate=realm)

    Registry(server(handle)).try_push("site/app")
    assert seen == ["/token?account=a&scope=repository%3Asite%2Fapp%3Apull%2Cpush&service=s"]


def test_a_blob_that_may_not_be_taken_over_from_another_repository_is_sent(
    server: Callable[[Handle], str], docker: Callable[[object], None]
) -> None:
    docker({})
    asked: list[str] = []
    sent: list[bytes] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            scopes = [value for name, value in parse_qsl(urlsplit(handler.path).query) if name == "scope"]
            asked.append(" ".join(scopes))
            answer(handler, 200, json.dumps({"token": f"for{len(scopes)}"}).encode())
        elif handler.headers.get("Authorization") is None or "mount=" in handler.path:
            answer(handler, 401, WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        elif handler.command == "POST":
            answer(handler, 202, Location="/upload")
        else:
            sent.append(handler.rfile.read(int(handler.headers["Content-Length"])))
            answer(handler, 201)

    Registry(server(handle)).put_blob("site/app", BLOB, [BYTES], source="site/other")
    assert asked == ["repository:site/app:pull,push repository:site/other:pull"]
    assert sent == [BYTES]


def test_a_registry_is_greeted_as_who_will_push(
    server: Callable[[Handle], str], docker: Callable[[object], None]
) -> None:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers.get("Authorization", "") == f"Basic {encoded('me:pw')}"
        answer(handler, 200 if known and handler.path == "/v2/" else 401, WWW_Authenticate='Basic realm="x"')

    host = server(handle)
    docker({})
    with pytest.raises(TargetError, match="without a login") as refused:
        Registry(host).greet("site")
    assert f"docker login {host}" in str(refused.value.hint)
    docker({"auths": {host: {"auth": encoded("me:pw")}}})
    Registry(host).greet("site")
    with pytest.raises(TargetError, match="answers 404"):
        Registry(server(lambda handler: answer(handler, 404))).greet("site")


@pytest.mark.timeout(60)
def test_an_upload_that_stalls_is_given_up(server: Callable[[Handle], str], docker: Callable[[object], None]) -> None:
    docker({})
    done = Event()

    def handle(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            answer(handler, 202, Location="/upload")
        else:
            done.wait(50)  # reads nothing of what comes

    host = server(handle)
    try:
        with pytest.raises(TargetError, match="does not answer in time"):
            Registry(host, idle_s=0.5).put_blob("site/app", BLOB, [BYTES])
    finally:
        done.set()


# what docker keeps


def test_credentials_are_found_under_every_key_that_docker_writes(docker: Callable[[object], None]) -> None:
    for key in ("r.example:5000", "https://r.example:5000/v1/", "r.example:5000/site"):
        docker({"auths": {key: {"auth": encoded("me:mine:too")}, "r.example": {"auth": encoded("no:no")}}})
        assert credentials("r.example:5000") == ("me", "mine:too")
    assert credentials("other.example") is None


@pytest.mark.parametrize("auth", ["%", "bm9jb2xvbg==", "/////w==", 5, None, ""])
def test_what_is_no_user_and_password_is_none(auth: object) -> None:
    assert pairs({"auths": {"r.example": {"auth": auth}}}, "r.example") == {}


@pytest.mark.parametrize(
    "config",
    [
        {"auths": [1]},
        {"auths": {"r.example": "x"}},
        {"credHelpers": "x"},
        {"credHelpers": {"r.example": ["x"]}},
        {"credsStore": {"a": "b"}},
    ],
)
def test_a_config_that_is_none_of_dockers_is_named(docker: Callable[[object], None], config: object) -> None:
    docker(config)
    with pytest.raises(TargetError, match=r"config\.json cannot be understood"):
        credentials("r.example")


@pytest.mark.parametrize("told", ["no json", "[]", "{}"])
def test_a_keeper_that_answers_nonsense_is_named(
    docker: Callable[[object], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    docker({"credsStore": "broken"})
    program = tmp_path / "docker-credential-broken"
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(TargetError, match="docker-credential-broken does not answer"):
        credentials("r.example")
