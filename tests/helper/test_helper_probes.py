"""The helper asks whether a service is well, and waits for it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from helper_program import DEADLINE_S, Helper, runs_here

Talk = Callable[[socket.socket], None]


class Answer(BaseHTTPRequestHandler):
    """Answers /CODE with that status and notes the request."""

    seen: ClassVar[list[tuple[str, str | None]]]

    def do_GET(self) -> None:
        self.seen.append((self.requestline, self.headers["Host"]))
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def http_server(port: int = 0) -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    class NotingAnswer(Answer):
        seen: ClassVar[list[tuple[str, str | None]]] = []

    with ThreadingHTTPServer(("127.0.0.1", port), NotingAnswer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], NotingAnswer.seen
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def raw_server(talk: Talk, *, ipv6: bool = False) -> Iterator[int]:
    """A listener that hands each connection to `talk` in a thread of its own."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    with socket.socket(family) as listener:
        if ipv6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind(("::1" if ipv6 else "127.0.0.1", 0))
        except OSError as error:
            pytest.skip(f"no loopback address of this family here ({error}): enable IPv6")
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def sends(*pieces: bytes, pause_s: float = 0) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)

    return talk


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- probe ----


@runs_here
@pytest.mark.parametrize(
    ("status", "exit_code"), [(200, 0), (204, 0), (302, 0), (399, 0), (400, 1), (404, 1), (503, 1)]
)
def test_an_http_probe_succeeds_for_status_200_to_399(run: Helper, status: int, exit_code: int) -> None:
    with http_server() as (port, seen):
        result = run("probe", "http", port, f"/{status}")

    assert (result.returncode, result.stdout, result.stderr) == (exit_code, f"HTTP {status}\n", "")
    assert seen == [(f"GET /{status} HTTP/1.1", "localhost")]


@runs_here
@pytest.mark.parametrize("kind", [["tcp"], ["http", "/"]])
def test_a_probe_of_a_closed_port_says_connection_refused(run: Helper, kind: list[str]) -> None:
    result = run("probe", kind[0], free_port(), *kind[1:])
    assert (result.returncode, result.stdout, result.stderr) == (1, "connection refused\n", "")


@runs_here
def test_a_tcp_probe_succeeds_when_the_port_accepts(run: Helper) -> None:
    with raw_server(sends()) as port:
        result = run("probe", "tcp", port, "0.5")
    assert (result.returncode, result.stdout) == (0, "connected\n")


@runs_here
def test_a_server_on_ipv6_alone_is_found(run: Helper) -> None:
    with raw_server(sends(b"HTTP/1.1 200 OK\r\n\r\n"), ipv6=True) as port:
        assert run("probe", "tcp", port).returncode == 0
        assert run("probe", "http", port, "/").stdout == "HTTP 200\n"
        assert run("wait", "http", "::1", port, "/", 2).stdout == "HTTP 200\n"


@runs_here
def test_an_answer_that_comes_byte_by_byte_is_read(run: Helper) -> None:
    answer = [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n\r\n"]
    with raw_server(sends(*answer, pause_s=0.02)) as port:
        result = run("probe", "http", port, "/")
    assert (result.returncode, result.stdout) == (0, "HTTP 200\n")


@runs_here
def test_a_header_slower_than_the_timeout_fails_at_the_timeout(run: Helper) -> None:
    answer = [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n\r\n"]
    with raw_server(sends(*answer, pause_s=0.2)) as port:
        began = time.monotonic()
        result = run("probe", "http", port, "/", "0.6")
        took_s = time.monotonic() - began
    assert (result.returncode, result.stdout) == (1, "timed out while waiting for the answer\n")
    assert 0.55 < took_s < 2


@runs_here
@pytest.mark.parametrize(("arguments", "least_s"), [(["0.3"], 0.3), ([], 4.0)])
def test_a_server_that_never_answers_fails_at_the_timeout(run: Helper, arguments: list[str], least_s: float) -> None:
    with raw_server(lambda connection: time.sleep(DEADLINE_S)) as port:
        began = time.monotonic()
        result = run("probe", "http", port, "/", *arguments)
        took_s = time.monotonic() - began
    assert (result.returncode, result.stdout) == (1, "timed out while waiting for the answer\n")
    assert least_s - 0.05 < took_s < least_s + 1.5


@runs_here
@pytest.mark.parametrize(
    ("answer", "exit_code", "line"),
    [
        (b"", 1, "connection closed without an answer"),
        (b"HTTP/1.1 20", 1, "connection closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 1, "the answer is not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x50", 1, "the answer is not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", 1, "the answer is not HTTP"),
        (b"HTTP/1.1 099 No\r\n\r\n", 1, "the answer is not HTTP"),
        (b"HTTP/1.0 200\n\n", 0, "HTTP 200"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 0, "HTTP 204"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", 1, "HTTP 503"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", 1, "HTTP 101"),
        (b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 100_000, 1, "the answer's header is too long"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 1_000_000, 0, "HTTP 200"),
    ],
)
def test_whatever_the_server_sends_gets_one_line(run: Helper, answer: bytes, exit_code: int, line: str) -> None:
    with raw_server(sends(answer)) as port:
        result = run("probe", "http", port, "/")
    assert (result.returncode, result.stdout) == (exit_code, line + "\n")


@runs_here
def test_a_connection_kept_open_after_the_answer_does_not_hold_up_the_probe(run: Helper) -> None:
    with raw_server(sends(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n", pause_s=DEADLINE_S)) as port:
        began = time.monotonic()
        result = run("probe", "http", port, "/events")
    assert result.returncode == 0
    assert time.monotonic() - began < 2


@runs_here
def test_a_probe_that_connects_to_its_own_port_does_not_count(program: Path) -> None:
    # With one ephemeral port, a client of that port always meets itself.
    script = (
        "ip link set lo up && echo 40001 40001 > /proc/sys/net/ipv4/ip_local_port_range && "
        f"{program} probe tcp 40001; {program} wait tcp 127.0.0.1 40001 0.5; test $? = 1"
    )
    if not shutil.which("ip") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs `ip` and user namespaces: install iproute2 and allow unprivileged namespaces")
    result = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (result.returncode, result.stdout) == (0, "connection refused\ngave up after 0.5 s: connection refused\n")


# ---- wait ----


@runs_here
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_wait_ends_when_a_late_server_appears(program: Path, kind: str) -> None:
    port = free_port()
    path = ["/200"] if kind == "http" else []
    arguments = [str(program), "wait", kind, "localhost", str(port), *path, str(DEADLINE_S)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as waiting:
        time.sleep(0.7)
        assert waiting.poll() is None
        with http_server(port):
            line, _ = waiting.communicate(timeout=5)
    assert (waiting.returncode, line) == (0, "HTTP 200\n" if kind == "http" else "connected\n")


@runs_here
def test_wait_http_goes_on_until_the_status_is_good_and_names_the_host(run: Helper) -> None:
    answers = iter([b"HTTP/1.1 503 Starting\r\n\r\n", b"not yet", b"HTTP/1.1 200 OK\r\n\r\n"])
    requests: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        requests.append(connection.recv(4096))
        connection.sendall(next(answers))

    with raw_server(talk) as port:
        result = run("wait", "http", "127.0.0.1", port, "/ready?full=1", 5)

    assert (result.returncode, result.stdout, len(requests)) == (0, "HTTP 200\n", 3)
    assert requests[0].startswith(f"GET /ready?full=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


@runs_here
def test_wait_gives_up_at_its_deadline_with_the_last_reason(run: Helper) -> None:
    began = time.monotonic()
    result = run("wait", "tcp", "127.0.0.1", free_port(), "0.7")
    took_s = time.monotonic() - began

    assert (result.returncode, result.stdout) == (1, "gave up after 0.7 s: connection refused\n")
    assert 0.65 < took_s < 2


@runs_here
def test_wait_tells_a_server_that_is_not_ready_from_one_that_is_absent(run: Helper) -> None:
    with http_server() as (port, _):
        result = run("wait", "http", "127.0.0.1", port, "/503", "0.5")
    assert (result.returncode, result.stdout) == (1, "gave up after 0.5 s: HTTP 503\n")


@runs_here
def test_wait_survives_a_first_attempt_that_hangs(run: Helper) -> None:
    connections: list[socket.socket] = []

    def talk(connection: socket.socket) -> None:
        connections.append(connection)
        if len(connections) == 1:
            time.sleep(DEADLINE_S)
        sends(b"HTTP/1.1 200 OK\r\n\r\n")(connection)

    with raw_server(talk) as port:
        result = run("wait", "http", "127.0.0.1", port, "/", 10)
    assert (result.returncode, result.stdout) == (0, "HTTP 200\n")


@runs_here
def test_wait_says_when_a_name_does_not_resolve(run: Helper) -> None:
    result = run("wait", "tcp", "no-such-host.invalid", 80, "0.5")

    assert result.returncode == 1
    assert result.stdout.startswith("gave up after 0.5 s: no-such-host.invalid: the name")
    assert result.stdout.count("\n") == 1


@runs_here
def test_waiting_ends_at_once_on_sigterm(program: Path) -> None:
    with subprocess.Popen([program, "wait", "tcp", "127.0.0.1", str(free_port()), str(DEADLINE_S)]) as waiting:
        time.sleep(0.3)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(timeout=2) == 128 + signal.SIGTERM
