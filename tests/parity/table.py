"""The table of concepts and targets in README.md, between its two marks.

python -m tests.parity.table     runs every row on every target and writes what was seen
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from .places import PLACES, Place
from .row import Answer, Row
from .rows import ROWS

DOCUMENT = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- parity: written by scripts/parity-table -->", "<!-- parity: end -->"

Answers = Mapping[tuple[str, str], Answer]  # by row and target


def table(rows: Iterable[Row], targets: Sequence[str], answers: Answers) -> str:
    lines = [["concept", *targets], ["---"] * (len(targets) + 1)]
    for row in rows:
        lines.append([f"**{row.concept}**: {row.promise}", *(str(answers[row.key, target]) for target in targets)])
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def declared(rows: Iterable[Row], places: Iterable[Place]) -> Answers:
    """What the rows say."""
    return {(row.key, place.name): row.answer(place) for row in rows for place in places}


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
    """A pytest plugin that keeps the answers of the rows that passed."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Answer] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties: list[tuple[str, Any]] = report.user_properties
        if report.when == "call" and report.passed:
            for name, value in properties:
                if name == "answer":
                    key, target, answer = value
                    self.seen[key, target] = answer


def main(arguments: Sequence[str]) -> int:
    recorder = Recorder()
    failed = pytest.main([str(Path(__file__).parent), *arguments], plugins=[recorder])
    targets = [place.name for place in PLACES]
    open_rows = [
        f"{row.key} on {target}" for row in ROWS for target in targets if (row.key, target) not in recorder.seen
    ]
    if failed or open_rows:
        sys.stderr.write(
            f"parity-table: {DOCUMENT.name} is left as it is; not seen: {', '.join(open_rows) or 'none'}\n"
        )
        return 1
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), table(ROWS, targets, recorder.seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
