"""What terminals show: colours where they are wanted, paths whatever their bytes, and nothing that drives them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bundler.cli import output, progress
from bundler.cli.main import run
from bundler.errors import typed

from .conftest import GRAPH, write_layout
from .terminal import talk

BROKEN = "bundle: a\nversion: '1'\nservices: {web: {imag: a}}\n"


@pytest.mark.parametrize(
    ("variables", "coloured", "cleared"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_and_progress_are_for_terminals_that_want_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool, cleared: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bundle.yaml").write_text(BROKEN)
    status, seen = talk([], "check", str(tmp_path))
    assert status == 3
    assert ("\x1b[" in seen) == coloured
    assert "error: " in seen.replace("\x1b[31m\x1b[1merror\x1b[0m", "error")
    write_layout(tmp_path / "layout")
    (tmp_path / "bundle.yaml").write_text(GRAPH)
    status, seen = talk([], "build", str(tmp_path), "-o", str(tmp_path / "x.tar"))
    assert status == 0
    assert ("\x1b[2K" in seen) == cleared
    assert ("\r\x1b" in seen) == cleared


WORDS = (
    b"plain",
    b"a b",
    b"it's",
    b"-x",
    b"caf\xc3\xa9",
    b"caf\xe9",
    b"\xe9a\\'b",
    b"a\nb\t",
    b"\x1b[31m",
    b"\xff0",
    b"$x`y`",
)


@pytest.mark.parametrize("word", WORDS)
def test_a_path_in_a_hint_is_that_path_to_a_shell(word: bytes) -> None:
    shown = typed(os.fsdecode(word))
    assert shown.isprintable()
    shown.encode()
    done = subprocess.run(["bash", "-c", f"printf %s {shown}"], stdout=subprocess.PIPE, check=True)
    assert done.stdout == (b"./" + word if word.startswith(b"-") else word)


def test_a_path_that_is_not_utf8_is_shown_by_its_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BROKEN)
    assert run(["check", str(folder)]) == 3
    assert f"{tmp_path}/caf\\xe9/bundle.yaml:3:18: " in capsys.readouterr().err
    assert run(["graph", str(folder), "-o", str(folder / "no" / "x.mmd")]) == 3
    (folder / "bundle.yaml").write_text("bundle: a\nversion: '1'\n")
    capsys.readouterr()
    assert run(["graph", str(folder), "-o", str(folder / "no" / "x.mmd")]) == 2
    assert capsys.readouterr().err == (
        f"error: there is no directory {tmp_path}/caf\\xe9/no\n  make it: mkdir -p $'{tmp_path}/caf\\xe9/no'\n"
    )


def test_waiting_for_nothing_known_is_no_empty_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(progress.Line, "draw", lambda _, text, **__: shown.append(text))
    progress.Steps().waiting(())
    progress.Steps().waiting(("service/a", "job/b"))
    assert shown == ["waiting for the first look at what runs", "waiting for service/a, job/b"]


def test_off_a_terminal_what_takes_long_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    passed_s = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: passed_s)
    steps, told = progress.Steps(), {}
    for passed_s in (1.0, 29.0, 31.0, 32.0, 60.0, 62.0):
        steps.waiting(("service/a",))
        told[passed_s] = capsys.readouterr().err
    steps.close()
    line = "waiting for service/a\n"
    assert told == {1.0: "", 29.0: "", 31.0: line, 32.0: "", 60.0: "", 62.0: line}


def test_nothing_can_drive_the_terminal() -> None:
    assert output.clean("a\x1b]0;title\x07b\r\u202ec\n") == "a\\x1b]0;title\\x07b\\x0d\\u202ec\n"
    assert output.clean("ümläut → 語") == "ümläut → 語"
