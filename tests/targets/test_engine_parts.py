"""The small pure parts of the engine adapters, without an engine."""

from __future__ import annotations

import io
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from engine_sample import HOST, Fixed, released
from images import AMD64

from bundler.edges import ports
from bundler.edges.engine import connect
from bundler.errors import TargetError
from bundler.model.bundle import for_platform
from bundler.model.graph import Resources
from bundler.model.observed import StoredSecret
from bundler.model.oci import Platform
from bundler.model.release import SecretPart
from targets import ownership, tar, texts
from targets.compose import document
from targets.compose.target import ComposeTarget
from targets.docker import containers
from targets.engine import logs, observe, workloads
from targets.sample import with_service


def test_memory_is_the_limit_with_swap_too() -> None:
    release = with_service(released(), "web", resources=Resources(memory_bytes=1 << 25))
    wanted = workloads.containers(release, HOST, {})
    web = next(container for container in wanted if container.workload.name == "web")
    made = containers.body(release, web, HOST)["HostConfig"]
    assert isinstance(made, dict)
    assert made["Memory"] == made["MemorySwap"] == 1 << 25
    services = document.document(release, wanted, HOST)["services"]
    assert isinstance(services, dict)
    assert services["web"]["mem_limit"] == services["web"]["memswap_limit"] == 1 << 25


def test_texts_are_revealed_only_with_secrets() -> None:
    kept = {"key": StoredSecret("r", b"a/b c"), "binary": StoredSecret("r", b"\xff")}
    assert texts.reveal(texts.text_json(("u:", SecretPart("key", encoded=True))), kept) == b"u:a%2Fb%20c"
    assert texts.text_json(("a", "b")) == "ab"
    with pytest.raises(TargetError, match="no value yet"):
        texts.reveal(texts.text_json((SecretPart("other"),)), kept)
    with pytest.raises(TargetError, match="is no text"):
        texts.reveal_text(texts.text_json((SecretPart("binary"),)), kept)


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_log_frames_become_lines_however_they_are_cut() -> None:
    raw = frame(1, b"T1 one\n") + frame(2, b"T2 err") + frame(1, b"T3 two\nT3 three\n") + frame(2, b"T4 or\n")
    raw += frame(1, b"T5 no end")
    expected = [b"T1 one", b"T3 two", b"T3 three", b"T2 error", b"T5 no end"]
    for size in (1, 3, 8, 11, len(raw)):
        pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
        assert list(logs.split(pieces)) == expected


def test_a_tar_is_read_by_others_as_it_was_written() -> None:
    long_name = "d/" + 120 * "n"
    members = [tar.directory("d", mode=0o700, uid=1, gid=2), tar.file(long_name, b"x" * 513, mode=0o400, uid=70000)]
    with tarfile.open(fileobj=io.BytesIO(tar.whole(members))) as archive:
        found = [(m.name, m.mode, m.uid, m.gid, m.size, m.mtime) for m in archive]
    assert found == [("d", 0o700, 1, 2, 0, 0), (long_name, 0o400, 70000, 0, 513, 0)]


def test_the_platform_with_the_same_variant_is_chosen() -> None:
    (base,) = Fixed().image.platforms
    v6, v7 = (replace(base, platform=Platform("linux", "arm", variant)) for variant in ("v6", "v7"))
    assert for_platform((v6, v7), Platform("linux", "arm", "v7")) is v7
    assert for_platform((v6,), Platform("linux", "arm", "v7")) is v6
    assert for_platform((v6,), AMD64) is None


def test_ports_that_somebody_listens_on_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ports.taken([port]) == {port}
    assert ports.taken([port]) == frozenset()


def test_a_port_that_a_container_has_for_udp_alone_is_free_for_a_front_door() -> None:
    listed = [{"PublicPort": 443, "PrivatePort": 443, "Type": "udp"}, {"PublicPort": 80, "Type": "tcp"}]
    assert observe._published([{"Ports": listed}, {"Ports": None}]) == {80}


def test_an_engine_over_ssh_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://nobody@127.0.0.1:1")
    with pytest.raises(TargetError, match="no Docker engine answers at ssh://") as caught:
        connect()
    assert "paramiko" in (caught.value.hint or "")


@pytest.mark.parametrize("status", [0, 1])
def test_a_docker_program_without_the_compose_plugin_is_seen(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = 'compose version --short' ] && echo 2.40.3 && exit {status}\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ComposeTarget()._compose_version == (None if status else "2.40.3")


def test_ours_is_what_the_labels_say() -> None:
    labels = ownership.labels("docker", "a", "network", "1")
    assert ownership.ours(labels, "docker", "a")
    assert not ownership.ours(labels, "compose", "a")
    assert not ownership.ours(labels, "docker", "b")
    assert not ownership.ours(None, "docker", "a")
