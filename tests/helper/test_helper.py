"""The helper's binaries and its command line."""

from __future__ import annotations

import struct

import pytest
from helper_program import Helper, runs_here

from targets import helper

SIZE_LIMIT_BYTES = 100 * 1024


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
