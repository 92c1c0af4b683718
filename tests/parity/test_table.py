"""The README's table is what the rows say; the rows are complete and their graphs are right. No engine is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler import discovery

from .command import Command
from .places import PLACES
from .row import Row
from .rows import ROWS
from .table import BEGIN, DOCUMENT, END, replaced, table, written


def test_the_readme_has_the_table_that_the_rows_declare() -> None:
    assert written(DOCUMENT.read_text()) == table(ROWS, PLACES), "run scripts/parity-table"


def test_every_installed_target_takes_part() -> None:
    assert set(discovery.names()) == {name for place in PLACES for name in (place.name, *place.aliases)}


def test_every_row_has_a_promise_and_answers() -> None:
    assert [row.key for row in ROWS if not row.promise] == []
    assert [row.answer(place) for row in ROWS for place in PLACES]
    assert len({row.key for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_graph_is_right_unless_it_says_what_cannot_be_said(row: Row, tmp_path: Path) -> None:
    (tmp_path / "bundle.yaml").write_text(row.text)
    for name in ("tree", "words"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    for name in ("app.tar", "other.tar"):
        (tmp_path / name).touch()
    unsayable = any(answer.at_check for answer in row.answers.values())
    Command(tmp_path)("check", tmp_path, status=3 if unsayable else 0)


def test_a_table_takes_the_place_of_the_one_before() -> None:
    document = f"before\n{BEGIN}\n| old |\n{END}\nafter\n"
    assert written(replaced(document, "| new |\n")) == "| new |\n"
    assert replaced(document, "| old |\n") == document
    with pytest.raises(ValueError, match="has no marks"):
        replaced("nothing", "| new |\n")
