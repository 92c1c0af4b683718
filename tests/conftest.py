"""For all tests: a key that signs, a small HTTP server that answers as a test says, and a graph to build."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bundler.pack import BuildRequest
from bundler.trust.keys import KeyStore, PrivateKey
from tests.http_server import Handle
from tests.packing import GRAPH, Registry, image_layout, write


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return KeyStore(tmp_path_factory.mktemp("keys") / "store").default()


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@pytest.fixture
def server() -> Iterator[Callable[[Handle], str]]:
    """Starts servers that answers everything with a function; gives HOST:PORT."""
    running = []

    def start(handle: Handle) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                handle(self)

            def log_message(self, format: str, *args: object) -> None:
                return

        for method in ("HEAD", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        httpd = Quiet(("127.0.0.1", 0), Handler)
        Thread(target=httpd.serve_forever, daemon=True).start()
        running.append(httpd)
        return f"127.0.0.1:{httpd.server_address[1]}"

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with one image, and no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    image_layout(tmp_path / "image")
    registry = Registry(tmp_path / "image")
    yield registry
    registry.close()


def graph_text(registry: Registry) -> str:
    return GRAPH.replace("IMAGE", registry.image)


@pytest.fixture
def graph(tmp_path: Path, registry: Registry) -> Path:
    """A graph whose image is a registry's."""
    files: dict[str, str | bytes] = {"w/model.bin": bytes(range(256)) * 20_000, "w/config.json": "{}\n"}
    return write(
        tmp_path / "graph",
        {"bundle.yaml": graph_text(registry), "c.yaml": "a: 1\n", "d/one": "1", "d/sub/two": "2", **files},
    )


@pytest.fixture
def request_(graph: Path, tmp_path: Path, key: PrivateKey) -> BuildRequest:
    (tmp_path / "out").mkdir()
    return BuildRequest(graph, tmp_path / "out/tiny.tar", key=key, cache=tmp_path / "cache")
