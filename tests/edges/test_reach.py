"""Who answers at an address, told by the first words of its protocol."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bundler.edges.network import Failure
from bundler.edges.reach import SPEAKS_TLS, UnreachedError, reach

HOST = "127.0.0.1"
MYSQL = b"\x4a\x00\x00\x00\x0a8.4.3\x00\x0b\x00\x00\x00" + b"x" * 60  # the start of what a server of 8.4 greets with
AMQP = b"\x01\x00\x00\x00\x00\x01\xf4\x00\x0a\x00\x0a\x00\x09\x00\x00\x01\xcf" + b"x" * 400
Serve = Callable[[bytes, bytes], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that reads `expected`, and only then says `answer`; gives its port."""
    listeners = []

    def start(expected: bytes, answer: bytes) -> int:
        listener = socket.create_server((HOST, 0))
        listeners.append(listener)

        def run() -> None:
            with suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    with link:
                        said = b""
                        while len(said) < len(expected):
                            said += link.recv(len(expected) - len(said))
                        if said == expected:
                            link.sendall(answer)
                        while link.recv(4096):
                            """Until the other side has had enough."""

        Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def page() -> Iterator[Callable[[ssl.SSLContext | None], int]]:
    """Starts an HTTP server that answers 403."""
    running = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    def start(context: ssl.SSLContext | None = None) -> int:
        server = ThreadingHTTPServer((HOST, 0), Handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server.server_port

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of localhost, by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "localhost.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def fault(protocol: str | None, host: str, port: int, *, tls: bool = False, timeout_s: float = 1.0) -> UnreachedError:
    with pytest.raises(UnreachedError) as raised:
        reach(protocol, host, port, tls=tls, timeout_s=timeout_s)
    return raised.value


@pytest.mark.parametrize(
    ("protocol", "expected", "answer", "told"),
    [
        ("postgres", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"N", "answers"),
        ("mysql", b"", MYSQL, "answers 8.4.3"),
        ("redis", b"PING\r\n", b"+PONG\r\n", "answers"),
        ("redis", b"PING\r\n", b"-NOAUTH Authentication required.\r\n", "answers"),
        ("smtp", b"", b"220 mail.example ESMTP\r\n", "answers 220"),
        ("amqp", b"AMQP\x00\x00\x09\x01", AMQP, "answers"),
        ("nats", b"", b'INFO {"server_id":"N"}\r\n', "answers"),
        ("memcached", b"version\r\n", b"VERSION 1.6.31\r\n", "answers VERSION 1.6.31"),
        (None, b"", b"", "takes connections"),
    ],
)
def test_each_protocol_is_known_by_its_first_words(
    serve: Serve, protocol: str | None, expected: bytes, answer: bytes, told: str
) -> None:
    assert reach(protocol, HOST, serve(expected, answer), tls=False, timeout_s=5.0) == told


def test_a_page_of_any_status_is_an_answer(page: Callable[..., int]) -> None:
    assert reach("http", HOST, page(), tls=False, timeout_s=5.0) == "answers 403"


def test_a_certificate_that_is_trusted_here_is_taken(
    page: Callable[..., int], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = page(server_context(certificate))
    untrusted = fault("http", "localhost", port, tls=True)
    assert untrusted.kind is Failure.CERTIFICATE
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert reach("http", "localhost", port, tls=True, timeout_s=5.0) == "answers 403"
    assert fault("http", HOST, port, tls=True).kind is Failure.CERTIFICATE, "it is of another name"


def test_what_is_the_matter_is_told_apart(serve: Serve, page: Callable[..., int]) -> None:
    with socket.create_server((HOST, 0)) as free:
        port = int(free.getsockname()[1])
    assert fault("http", HOST, port).kind is Failure.REFUSED
    assert fault("http", "nobody.invalid", 80).kind is Failure.NAME
    assert fault("http", "a..b", 80).kind is Failure.OTHER, "no name can be so"
    ssh = fault("http", HOST, serve(b"", b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert (ssh.kind, ssh.reason) == (Failure.PROTOCOL, "it does not answer as http does: 'SSH-2.0-OpenSSH_9.2'")
    assert fault("redis", HOST, serve(b"PING\r\n", b"-DENIED protected mode\r\n")).kind is Failure.PROTOCOL
    assert fault("http", HOST, page(), tls=True).kind is Failure.TLS


def test_a_server_that_wants_tls_is_told(serve: Serve) -> None:
    alert = b"\x15\x03\x03\x00\x02\x02\x0a"
    of_go = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    for said in (alert, of_go):
        assert fault("http", HOST, serve(b"HEAD", said)).reason == SPEAKS_TLS


def test_one_that_takes_the_connection_and_says_nothing_is_left_in_time(serve: Serve) -> None:
    began = time.monotonic()
    silent = fault("smtp", HOST, serve(b"", b""), timeout_s=0.5)
    assert (silent.kind, "says nothing" in silent.reason) == (Failure.TIME, True)
    assert time.monotonic() - began < 5


@pytest.mark.engine
@pytest.mark.parametrize(
    ("image", "protocol", "port", "options", "command"),
    [
        ("postgres", "postgres", 5432, "--user 999:999 -e POSTGRES_PASSWORD=x", "-c listen_addresses=*"),
        ("valkey", "redis", 6379, "", "valkey-server --requirepass x"),
    ],
)
def test_real_servers_answer(image: str, protocol: str, port: int, options: str, command: str) -> None:
    name = f"graphbundle/component-{image}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode:
        pytest.skip(f"needs the image {name}: scripts/components-prepare {image}")
    started = subprocess.run(
        ["docker", "run", "--detach", "--rm", *options.split(), name, *command.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    container = started.stdout.strip()
    try:
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        shown = subprocess.run(
            ["docker", "inspect", "--format", template, container], capture_output=True, text=True, check=True
        )
        ends_at = time.monotonic() + 60
        while True:
            try:
                told = reach(protocol, shown.stdout.strip(), port, tls=False, timeout_s=5.0)
                break
            except UnreachedError as error:
                if error.kind is Failure.PROTOCOL or time.monotonic() > ends_at:
                    raise
                time.sleep(0.2)
        assert told.startswith("answers")
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=True)
