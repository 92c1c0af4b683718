"""For all tests: a key that signs, and a small HTTP server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from bundler.trust.keys import KeyStore, PrivateKey
from tests.http_server import Handle


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
