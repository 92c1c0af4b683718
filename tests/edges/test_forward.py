"""A port of this machine that leads elsewhere: what it survives, and what it says."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.edges.forward import Forward
from bundler.errors import BundleError, TargetError


@pytest.fixture
def told() -> list[BundleError]:
    return []


@pytest.fixture
def forward(told: list[BundleError]) -> Iterator[Forward]:
    """Two connections to something that says so."""
    ready: list[socket.socket] = []
    for near, far in (socket.socketpair(), socket.socketpair()):
        far.sendall(b"here")
        far.close()
        ready.append(near)
    with Forward("127.0.0.1", 0, ready.pop, told.append) as forward:
        yield forward


def test_a_port_that_is_taken_is_another_one(forward: Forward, told: list[BundleError]) -> None:
    with Forward("127.0.0.1", forward.port, socket.socket, told.append) as second:
        assert second.port not in (0, forward.port)


def test_an_address_that_is_not_here_is_named(told: list[BundleError]) -> None:
    with pytest.raises(TargetError, match=r"cannot listen on 192\.0\.2\.1 at port 8000: Cannot assign"):
        Forward("192.0.2.1", 8000, socket.socket, told.append)


AS_NOBODY = """
import os, socket
from bundler.edges.forward import Forward
from bundler.errors import TargetError
os.setgid(65534), os.setuid(65534)
try:
    Forward("127.0.0.1", 81, socket.socket, print)
except TargetError as error:
    print(error.what, error.hint, sep="; ")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do as somebody who is not")
def test_a_port_that_is_not_for_everyone_is_no_other_one() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("port 81 is for everyone here: net.ipv4.ip_unprivileged_port_start")
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cannot listen on 127.0.0.1 at port 81: Permission denied; ports below 1024 are")


@pytest.mark.timeout(30)
def test_too_many_open_files_end_no_forward(forward: Forward) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as first, socket.socket() as second:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            first.connect(("127.0.0.1", forward.port))  # the kernel keeps a place for the one that is waited for
            second.connect(("127.0.0.1", forward.port))
            time.sleep(0.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (first.recv(10), second.recv(10)) == (b"here", b"here")
