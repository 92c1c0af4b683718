"""The table of concepts and targets in README.md, between its two marks.

python -m tests.parity.table     runs every row on every target and writes what was seen
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .places import PLACES, Place
from .row import Row
from .rows import ROWS

DOCUMENT = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- parity: written by scripts/parity-table -->", "<!-- parity: end -->"

WORKERS = 4  # most of a row's time is waiting


def table(rows: Iterable[Row], places: Sequence[Place]) -> str:
    lines = [["concept", *(place.name for place in places)], ["---"] * (len(places) + 1)]
    for row in rows:
        lines.append([f"**{row.concept}**: {row.promise}", *(row.cell(place) for place in places)])
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def written(document: str) -> str:
    """The table in a document."""
    return document.partition(f"{BEGIN}\n")[2].partition(END)[0]


def replaced(document: str, new: str) -> str:
    before, begin, rest = document.partition(f"{BEGIN}\n")
    after = rest.partition(END)[2]
    if not begin or END not in rest:
        raise ValueError(f"{DOCUMENT.name} has no marks {BEGIN} and {END}")
    return f"{before}{begin}{new}{END}{after}"


class Recorder:
    """A pytest plugin that keeps which rows were as declared, by row and target: those that passed, and those whose
    defect is known and was seen."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        as_declared = report.passed or (report.skipped and hasattr(report, "wasxfail"))
        if report.when == "call" and as_declared:
            properties: list[tuple[str, Any]] = report.user_properties
            self.seen |= {tuple(value) for name, value in properties if name == "row"}


def main(arguments: Sequence[str]) -> int:
    recorder = Recorder()
    suite = str(Path(__file__).with_name("test_parity.py"))
    ended = pytest.main([suite, "--numprocesses", str(WORKERS), *arguments], plugins=[recorder])
    wanted = {(row.key, place.name) for row in ROWS for place in PLACES}
    unseen = sorted(f"{key} on {target}" for key, target in wanted - recorder.seen)
    if ended or unseen:
        sys.stderr.write(f"parity-table: {DOCUMENT.name} is left as it is; not as declared: {', '.join(unseen)}\n")
        return 1
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), table(ROWS, PLACES)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
