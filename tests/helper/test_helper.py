"""The static helper program, run for real against servers and directories of this machine."""

import contextlib
import os
import platform
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from targets import helper

ROOT = Path(__file__).resolve().parent.parent.parent
HOST_ARCHITECTURE = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
SIZE_LIMIT_BYTES = 100 * 1024
DEADLINE_S = 20

runs_here = pytest.mark.skipif(
    not sys.platform.startswith("linux") or HOST_ARCHITECTURE is None,
    reason="the program is for Linux on amd64 or arm64: run the tests in a Linux container",
)
as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root to change owners: run the tests in a container as root"
)

Helper = Callable[..., subprocess.CompletedProcess[str]]
Talk = Callable[[socket.socket], None]


def let_others_reach(path: Path) -> None:
    """Make the directories above `path`, which pytest makes 0700, passable for a foreign uid."""
    for parent in path.parents:
        if parent.stat().st_mode & 0o001:
            return
        parent.chmod(parent.stat().st_mode | 0o011)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert HOST_ARCHITECTURE is not None
    path = tmp_path_factory.mktemp("program") / "helper"
    path.write_bytes(helper.binary(HOST_ARCHITECTURE))
    path.chmod(0o555)
    let_others_reach(path)
    return path


@pytest.fixture
def run(program: Path) -> Helper:
    def call(
        *arguments: object, uid: int | None = None, groups: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env={},
            user=uid,
            group=uid,
            extra_groups=None if uid is None else groups,
        )

    return call


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


def tree(directory: Path) -> dict[str, tuple[int, object, int]]:
    """Mode, content or link target, and time in ns of everything below `directory`."""
    entries: dict[str, tuple[int, object, int]] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        entries[str(path.relative_to(directory))] = (status.st_mode, content, status.st_mtime_ns)
    return entries


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "conf.d" / "deep").mkdir(parents=True)
    (directory / "empty").mkdir()
    (directory / "run.sh").write_bytes(b"#!/bin/sh\n")
    (directory / "run.sh").chmod(0o755)
    (directory / "conf.d" / "key").write_bytes(b"secret")
    (directory / "conf.d" / "key").chmod(0o400)
    (directory / "conf.d" / "deep" / "big").write_bytes(bytes(range(256)) * 4096)
    (directory / "conf.d" / "relative").symlink_to("../run.sh")
    (directory / "absolute").symlink_to("/etc/passwd")
    (directory / "dangling").symlink_to("nowhere")
    (directory / "looping").symlink_to(".")
    os.mkfifo(directory / "queue", 0o620)
    (directory / "empty").chmod(0o1777)
    for path in (directory / "run.sh", directory / "conf.d" / "deep", directory / "empty"):
        os.utime(path, ns=(10**18, 10**18 + 123))
    (directory / "conf.d").chmod(0o550)
    return directory


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    directory = tmp_path / "destination"
    directory.mkdir()
    return directory


# ---- the files in the package ----


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_the_binary_is_a_static_elf_for_its_architecture(architecture: str, machine: int) -> None:
    content = helper.binary(architecture)

    assert content[:6] == b"\x7fELF\x02\x01"  # 64 bit, little endian
    assert struct.unpack_from("<H", content, 18) == (machine,)
    (table,) = struct.unpack_from("<Q", content, 32)
    entry_size, count = struct.unpack_from("<HH", content, 54)
    types = {struct.unpack_from("<I", content, table + index * entry_size)[0] for index in range(count)}
    assert 1 in types  # PT_LOAD
    assert not types & {2, 3}  # PT_DYNAMIC, PT_INTERP


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_no_segment_is_writable_and_executable_and_the_stack_is_not_executable(architecture: str) -> None:
    content = helper.binary(architecture)
    (table,) = struct.unpack_from("<Q", content, 32)
    entry_size, count = struct.unpack_from("<HH", content, 54)
    segments = [struct.unpack_from("<II", content, table + index * entry_size) for index in range(count)]

    assert [flags for kind, flags in segments if kind == 1 and flags & 3 == 3] == []
    assert [flags & 1 for kind, flags in segments if kind == 0x6474E551] == [0]  # PT_GNU_STACK


def test_every_architecture_named_has_a_binary_below_the_size_limit() -> None:
    assert helper.ARCHITECTURES == ("amd64", "arm64")
    for architecture in helper.ARCHITECTURES:
        assert len(helper.binary(architecture)) < SIZE_LIMIT_BYTES


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'riscv64'.*amd64, arm64"):
        helper.binary("riscv64")


def test_the_mount_path_is_absolute_and_out_of_the_way_of_images() -> None:
    assert helper.MOUNT_PATH == "/.bundle/helper"


# ---- command line ----


@runs_here
def test_version_names_the_program_and_its_interface(run: Helper) -> None:
    result = run("version")
    assert (result.returncode, result.stdout, result.stderr) == (0, "bundle-helper 1\n", "")


@runs_here
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sleep"],
        ["version", "2"],
        ["probe"],
        ["probe", "udp", "53"],
        ["probe", "tcp"],
        ["probe", "tcp", "0"],
        ["probe", "tcp", "65536"],
        ["probe", "tcp", "+80"],
        ["probe", "tcp", "80x"],
        ["probe", "tcp", "99999999999999999999"],
        ["probe", "tcp", "80", "0"],
        ["probe", "tcp", "80", "0.0"],
        ["probe", "tcp", "80", "-1"],
        ["probe", "tcp", "80", "1e3"],
        ["probe", "tcp", "80", "."],
        ["probe", "tcp", "80", "1."],
        ["probe", "tcp", "80", "86401"],
        ["probe", "tcp", "80", "1", "2"],
        ["probe", "http", "80"],
        ["probe", "http", "80", "health"],
        ["probe", "http", "80", "/a b"],
        ["probe", "http", "80", "/\r\nX: y"],
        ["probe", "http", "80", "/" + "a" * 2048],
        ["wait", "tcp", "localhost", "80"],
        ["wait", "tcp", "", "80", "1"],
        ["wait", "tcp", "a\r\nb", "80", "1"],
        ["wait", "tcp", "a" * 254, "80", "1"],
        ["wait", "http", "localhost", "80", "1"],
        ["copy", "a"],
        ["copy", "a", "b", "c"],
        ["seed", "a"],
        ["seed", "a", "b", "c/d"],
        ["seed", "a", "b", ".."],
        ["seed", "a", "b", ""],
        ["own", "root:root", "."],
        ["own", "1", "."],
        ["own", "1:", "."],
        ["own", "1:4294967295", "."],
        ["cat"],
    ],
)
def test_a_usage_error_exits_2_with_the_usage_on_stderr_only(run: Helper, arguments: list[str]) -> None:
    result = run(*arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("helper: ")
    assert "usage: helper probe http PORT PATH [TIMEOUT_S]" in result.stderr


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


# ---- copy ----


@runs_here
def test_copy_keeps_content_modes_times_and_symlinks(run: Helper, source: Path, destination: Path) -> None:
    result = run("copy", source, destination)

    entries = tree(source)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"entries copied: {len(entries)}\n", "")
    copied = tree(destination)
    fifo, fifo_copy = entries.pop("queue"), copied.pop("queue")
    assert copied == entries
    assert fifo_copy[0] == fifo[0]


@runs_here
def test_copy_leaves_mode_and_owner_of_the_destination_itself_alone(
    run: Helper, source: Path, destination: Path
) -> None:
    source.chmod(0o711)
    destination.chmod(0o770)
    assert run("copy", source, destination).returncode == 0
    assert stat.S_IMODE(destination.stat().st_mode) == 0o770


@runs_here
def test_copy_of_an_empty_directory_copies_nothing(run: Helper, tmp_path: Path, destination: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert run("copy", tmp_path / "nothing", destination).stdout == "entries copied: 0\n"


@runs_here
@pytest.mark.parametrize("name", ["data", ".hidden"])
def test_copy_writes_nothing_into_a_destination_that_is_not_empty(
    run: Helper, source: Path, destination: Path, name: str
) -> None:
    (destination / name).write_text("precious")

    result = run("copy", source, destination)

    assert (result.returncode, result.stdout) == (1, "")
    assert "not empty" in result.stderr
    assert [path.name for path in destination.iterdir()] == [name]
    assert (destination / name).read_text() == "precious"


@runs_here
def test_lost_and_found_counts_as_empty_and_is_not_copied(run: Helper, source: Path, destination: Path) -> None:
    for directory in (source, destination):
        (directory / "lost+found").mkdir(mode=0o700)
    (source / "lost+found" / "#12").write_text("debris")

    assert run("copy", source, destination).returncode == 0
    assert list((destination / "lost+found").iterdir()) == []
    assert (destination / "run.sh").exists()


@runs_here
def test_force_replaces_what_is_there_and_keeps_the_rest(run: Helper, source: Path, destination: Path) -> None:
    assert run("copy", source, destination).returncode == 0
    (destination / "run.sh").write_text("changed")
    (destination / "own").write_text("stays")

    result = run("copy", "--force", source, destination)

    assert result.returncode == 0, result.stderr
    assert (destination / "run.sh").read_bytes() == b"#!/bin/sh\n"
    assert (destination / "own").read_text() == "stays"
    assert stat.S_IMODE((destination / "conf.d").stat().st_mode) == 0o550


@runs_here
def test_a_symlink_planted_at_the_destination_is_not_followed(
    run: Helper, source: Path, destination: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("precious")
    (destination / "run.sh").symlink_to(outside / "victim")  # where a file will go
    (destination / "conf.d").symlink_to(outside)  # where a directory will go
    (destination / "absolute").symlink_to(outside / "new")  # where a symlink will go

    refused = run("copy", source, destination)
    assert refused.returncode == 1
    forced = run("copy", "--force", source, destination)

    assert forced.returncode == 0, forced.stderr
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "precious"
    assert not (destination / "run.sh").is_symlink()
    assert not (destination / "conf.d").is_symlink()
    assert str((destination / "absolute").readlink()) == "/etc/passwd"


@runs_here
def test_another_name_of_a_replaced_file_keeps_its_content(
    run: Helper, source: Path, destination: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    os.link(tmp_path / "elsewhere", destination / "run.sh")

    assert run("copy", "--force", source, destination).returncode == 0
    assert (tmp_path / "elsewhere").read_text() == "precious"


@runs_here
def test_a_destination_that_is_a_symlink_is_refused(
    run: Helper, source: Path, destination: Path, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(destination)

    assert run("copy", source, tmp_path / "alias").returncode == 1
    assert list(destination.iterdir()) == []


@runs_here
def test_a_source_that_is_a_symlink_is_entered(run: Helper, source: Path, destination: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(source)

    assert run("copy", tmp_path / "alias", destination).returncode == 0
    assert (destination / "run.sh").exists()


@runs_here
def test_force_does_not_replace_a_directory_by_a_file(run: Helper, source: Path, destination: Path) -> None:
    (destination / "run.sh").mkdir()

    result = run("copy", "--force", source, destination)

    assert result.returncode == 1
    assert "run.sh: a directory stands in its place" in result.stderr
    assert (destination / "run.sh").is_dir()


@runs_here
def test_a_destination_inside_the_source_is_refused(run: Helper, source: Path) -> None:
    (source / "empty" / "volume").mkdir()

    result = run("copy", source, source / "empty" / "volume")

    assert result.returncode == 1
    assert "DST lies inside SRC" in result.stderr
    assert run("copy", source, source).returncode == 1


@runs_here
def test_a_socket_in_the_source_is_named_and_refused(run: Helper, tmp_path: Path, destination: Path) -> None:
    (tmp_path / "source" / "run").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "source" / "run" / "s"))
        result = run("copy", tmp_path / "source", destination)
    assert result.returncode == 1
    assert "run/s: a device or socket cannot be copied" in result.stderr


@runs_here
def test_a_tree_deeper_than_the_limit_is_refused_and_one_within_it_is_copied(
    run: Helper, tmp_path: Path, destination: Path
) -> None:
    (tmp_path / "within" / "/".join(["d"] * 200)).mkdir(parents=True)
    (tmp_path / "beyond" / "/".join(["d"] * 201)).mkdir(parents=True)

    assert run("copy", tmp_path / "within", destination).stdout == "entries copied: 200\n"
    beyond = run("copy", "--force", tmp_path / "beyond", destination)
    assert beyond.returncode == 1
    assert "nested too deeply" in beyond.stderr


@runs_here
def test_a_missing_directory_is_named(run: Helper, source: Path, destination: Path, tmp_path: Path) -> None:
    for arguments in ([tmp_path / "absent", destination], [source, tmp_path / "absent"]):
        result = run("copy", *arguments)
        assert (result.returncode, result.stderr.strip().split(": ", 2)[1]) == (1, "copy")
        assert "absent: no such file or directory" in result.stderr


@runs_here
@as_root
def test_copy_as_root_keeps_owners_and_set_id_bits(run: Helper, source: Path, destination: Path) -> None:
    os.chown(source / "run.sh", 10001, 10002)
    (source / "run.sh").chmod(0o6755)
    os.chown(source / "empty", 10003, 10004)
    os.chown(source / "absolute", 10005, 10006, follow_symlinks=False)

    assert run("copy", source, destination).returncode == 0

    owners = {path.name: (path.lstat().st_uid, path.lstat().st_gid) for path in destination.iterdir()}
    assert owners["run.sh"] == (10001, 10002)
    assert owners["empty"] == (10003, 10004)
    assert owners["absolute"] == (10005, 10006)
    assert stat.S_IMODE((destination / "run.sh").stat().st_mode) == 0o6755


@runs_here
@as_root
def test_copy_without_the_right_to_change_owners_drops_set_id_bits_and_keeps_the_volume_group(
    run: Helper, tmp_path: Path, destination: Path
) -> None:
    let_others_reach(destination)
    (tmp_path / "source" / "sub").mkdir(parents=True)
    (tmp_path / "source" / "sub" / "tool").write_text("x")
    (tmp_path / "source" / "sub" / "tool").chmod(0o6755)
    os.chown(destination, 0, 20001)  # as Kubernetes' fsGroup leaves a volume
    destination.chmod(0o2777)

    result = run("copy", tmp_path / "source", destination, uid=12345, groups=(20001,))

    assert result.returncode == 0, result.stderr
    tool, sub = (destination / "sub" / "tool").stat(), (destination / "sub").stat()
    assert (tool.st_uid, tool.st_gid, stat.S_IMODE(tool.st_mode)) == (12345, 20001, 0o755)
    assert (sub.st_uid, sub.st_gid, stat.S_IMODE(sub.st_mode)) == (12345, 20001, 0o2755)


# ---- seed ----


@runs_here
def test_seed_makes_a_whole_copy_with_the_mode_of_the_source(run: Helper, source: Path, tmp_path: Path) -> None:
    source.chmod(0o711)
    target = tmp_path / "volume" / "data"
    target.parent.mkdir()

    result = run("seed", source, target)

    entries = tree(source)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"entries copied: {len(entries)}\n", "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o711
    assert tree(target).keys() == entries.keys()
    assert [path.name for path in target.parent.iterdir()] == ["data"]


@runs_here
def test_seed_leaves_what_is_there_as_it_is(run: Helper, source: Path, destination: Path) -> None:
    result = run("seed", source, destination)
    assert (result.returncode, result.stdout) == (0, "there already\n")
    assert list(destination.iterdir()) == []


@runs_here
def test_seed_without_a_source_makes_an_empty_directory(run: Helper, tmp_path: Path) -> None:
    assert run("seed", tmp_path / "nowhere", tmp_path / "data").returncode == 0
    assert (stat.S_IMODE((tmp_path / "data").stat().st_mode), list((tmp_path / "data").iterdir())) == (0o755, [])


@runs_here
def test_seed_goes_on_after_an_interruption(run: Helper, source: Path, tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / next(iter(tree(source)))).write_text("half")
    assert run("seed", source, tmp_path / "data").returncode == 0
    assert tree(tmp_path / "data").keys() == tree(source).keys()
    assert not (tmp_path / "data.new").exists()


@runs_here
def test_seed_of_names_copies_these_and_nothing_else(run: Helper, source: Path, tmp_path: Path) -> None:
    source.chmod(0o700)
    (source / "empty" / "inner").write_text("x")
    names = ("empty", "run.sh")

    result = run("seed", source, tmp_path / "data", *names)

    assert (result.returncode, result.stdout, result.stderr) == (0, "entries copied: 3\n", "")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755
    wanted = {path: entry for path, entry in tree(source).items() if path.split("/")[0] in names}
    assert tree(tmp_path / "data") == wanted
    assert run("seed", source, tmp_path / "data", *names).stdout == "there already\n"


@runs_here
def test_seed_of_a_name_that_is_not_there_fails_and_leaves_nothing_by_the_final_name(
    run: Helper, source: Path, tmp_path: Path
) -> None:
    result = run("seed", source, tmp_path / "data", "run.sh", "absent")
    assert (result.returncode, result.stderr) == (1, "helper: copy: absent: no such file or directory\n")
    assert not (tmp_path / "data").exists()
    assert run("seed", tmp_path / "nowhere", tmp_path / "data", "x").returncode == 1
    assert run("seed", source, tmp_path / "data", "run.sh").returncode == 0, "and goes on from there"


@runs_here
@as_root
@pytest.mark.parametrize(
    ("covered", "mount"), [("empty", ["mount", "-t", "tmpfs", "none"]), ("run.sh", ["mount", "--bind", "/etc/passwd"])]
)
def test_seed_of_a_name_that_something_is_mounted_over_fails(
    program: Path, source: Path, tmp_path: Path, covered: str, mount: list[str]
) -> None:
    """As an engine mounts something over an image's /dev and /etc/hosts."""
    seed = [program, "seed", tmp_path, tmp_path / "data", "source"]
    script = f"{shlex.join([*mount, str(source / covered)])} && exec {shlex.join(map(str, seed))}"
    argv = ["unshare", "--mount", "sh", "-c", script]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S)
    expected = f"helper: copy: source/{covered}: something else is mounted over it\n"
    assert (result.returncode, result.stderr) == (1, expected)
    assert not (tmp_path / "data").exists()


# ---- own ----


@runs_here
@as_root
def test_own_changes_the_directory_itself_and_nothing_in_it(run: Helper, destination: Path) -> None:
    (destination / "file").write_text("x")

    first, second = run("own", "10001:10002", destination), run("own", "10001:10002", destination)

    assert (first.returncode, first.stdout) == (0, "changed from 0:0\n")
    assert (second.returncode, second.stdout) == (0, "unchanged\n")
    assert (destination.stat().st_uid, destination.stat().st_gid) == (10001, 10002)
    assert (destination / "file").stat().st_uid == 0


@runs_here
def test_own_of_what_is_already_ours_needs_no_right(run: Helper, destination: Path) -> None:
    status = destination.stat()
    assert run("own", f"{status.st_uid}:{status.st_gid}", destination).stdout == "unchanged\n"


@runs_here
def test_own_follows_no_symlink_and_takes_no_file(run: Helper, destination: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(destination)
    (tmp_path / "file").write_text("x")
    for name in ("alias", "file", "absent"):
        result = run("own", "10001:10001", tmp_path / name)
        assert (result.returncode, result.stdout) == (1, "")
        assert str(tmp_path / name) in result.stderr
    assert destination.stat().st_uid == os.geteuid()


@runs_here
@as_root
def test_own_without_the_right_says_so(run: Helper, destination: Path) -> None:
    let_others_reach(destination)
    result = run("own", "10001:10001", destination, uid=12345)
    assert (result.returncode, result.stderr.endswith("operation not permitted\n")) == (1, True)


# ---- cat ----


@runs_here
def test_cat_writes_the_bytes_of_a_file_through_a_symlink(program: Path, tmp_path: Path) -> None:
    content = bytes(range(256)) * 3000
    (tmp_path / "secret").write_bytes(content)
    (tmp_path / "alias").symlink_to("secret")
    assert subprocess.run([program, "cat", tmp_path / "alias"], capture_output=True, check=True).stdout == content


@runs_here
def test_cat_names_what_it_cannot_read(run: Helper, tmp_path: Path) -> None:
    assert run("cat", tmp_path / "absent").stderr.endswith("absent: no such file or directory\n")
    assert run("cat", tmp_path).returncode == 1


@runs_here
def test_cat_fails_when_its_output_is_full(program: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([program, "cat", tmp_path / "secret"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr) == (1, "helper: cat: stdout: no space left on device\n")
