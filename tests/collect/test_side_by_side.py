"""Programs run together: what several calls of BuildKit are."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bundler.edges import process


def python(program: str) -> list[str]:
    return [sys.executable, "-u", "-c", program]


def run(*programs: str, at_once: int = 4) -> tuple[list[int | None], list[tuple[int, str]]]:
    lines: list[tuple[int, str]] = []
    statuses = process.side_by_side(
        [python(program) for program in programs], lambda *heard: lines.append(heard), at_once=at_once
    )
    return statuses, lines


def test_every_line_of_both_outputs_is_heard_with_whose_it_is() -> None:
    statuses, lines = run(
        "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('end')",
        "print('a\\r\\n\\nb'); import os; os.write(1, b'\\xff\\n')",
    )
    assert statuses == [0, 0]
    assert [text for who, text in lines if who == 0] == ["one", "two", "end"]
    assert [text for who, text in lines if who == 1] == ["a", "", "b", "\ufffd"]


def test_a_line_without_end_is_heard_in_pieces() -> None:
    statuses, lines = run("import sys; sys.stdout.write('x' * 1_000_000)")
    assert statuses == [0]
    assert len(lines) > 1
    assert "".join(text for _, text in lines) == "x" * 1_000_000


def test_they_run_together_and_no_more_than_so_many(tmp_path: Path) -> None:
    program = (
        f"import os, sys, time; here = sys.argv[0]; d = {str(tmp_path)!r}\n"
        "mine = os.path.join(d, str(os.getpid())); open(mine, 'w').close()\n"
        "time.sleep(0.4); print(len(os.listdir(d))); os.unlink(mine)"
    )
    began = time.monotonic()
    statuses, lines = run(*[program] * 6, at_once=3)
    assert statuses == [0] * 6
    assert time.monotonic() - began < 6 * 0.4 + 1.0
    assert 2 <= max(int(text) for _, text in lines) <= 3


def test_the_first_failure_is_the_first_in_order_and_those_after_it_are_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    statuses, _ = run(
        "import time; time.sleep(0.5)",
        "import sys, time; time.sleep(1); sys.exit(3)",
        "import sys; sys.exit(4)",
        "import time; time.sleep(60)",
        f"open({str(tmp_path / 'begun')!r}, 'w')",
    )
    assert statuses[:3] == [0, 3, 4]
    assert statuses[3] not in (0, None)
    assert statuses[4] is None
    assert not (tmp_path / "begun").exists()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_ends_them_all_and_leaves_nothing(stop: type[BaseException]) -> None:
    pids: list[int] = []

    def heard(which: int, text: str) -> None:
        if text.isdigit():
            pids.append(int(text))
        if len(pids) == 2:
            raise stop

    before = len(list(Path("/proc/self/fd").iterdir()))
    # They write without end: nobody may wait for somebody to read it.
    program = "import os; print(os.getpid())\nwhile True: os.write(1, b'x' * 65536)"
    quiet = "import os, time; print(os.getpid()); time.sleep(60)"
    with pytest.raises(stop):
        process.side_by_side([python(quiet), python(program)], heard, at_once=4)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
