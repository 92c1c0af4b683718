"""The helper copies, seeds, owns and shows files."""

from __future__ import annotations

import os
import shlex
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from helper_program import DEADLINE_S, Helper, as_root, let_others_reach, runs_here


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
