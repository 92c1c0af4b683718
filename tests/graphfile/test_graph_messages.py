"""What the checker says, word for word: `messages.txt` holds broken graphs, each with everything said about it.

After a change of wording run `python tests/graphfile/test_graph_messages.py` and read the difference.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bundler.errors import GraphError, Position
from bundler.graphfile.check import check, check_document
from bundler.graphfile.library import Libraries
from bundler.graphfile.source import parse

MESSAGES = Path(__file__).with_name("messages.txt")
BROKEN = Path(__file__).parents[2] / "fixtures" / "broken"


def cases(text: str) -> list[tuple[str, str, str]]:
    """Title, graph and expected words."""
    found = []
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        graph, _, words = rest.partition("--- says\n")
        found.append((title, graph, words))
    return found


def said(text: str, file: str = "bundle.yaml", libraries: Libraries | None = None) -> str:
    try:
        check(parse(text, file), libraries)
    except GraphError as error:
        return "".join(f"{problem}\n" for problem in error.problems)
    return ""


@pytest.mark.parametrize(
    ("graph", "words"),
    [pytest.param(graph, words, id=title) for title, graph, words in cases(MESSAGES.read_text("utf-8"))],
)
def test_a_broken_graph_is_told_everything_that_is_wrong_with_it(graph: str, words: str) -> None:
    assert words, "a broken graph has something said about it"
    assert said(graph) == words


@pytest.mark.parametrize("file", sorted(BROKEN.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_broken_fixture_is_told_what_is_beside_it(file: Path) -> None:
    words = file.with_suffix(".txt").read_text("utf-8")
    assert words, "a broken graph has something said about it"
    assert said(file.read_text("utf-8"), file.name, Libraries(BROKEN)) == words


def test_problems_are_sorted_by_position() -> None:
    for _, graph, _ in cases(MESSAGES.read_text("utf-8")):
        with pytest.raises(GraphError) as caught:
            check(parse(graph, "f"))
        places = [(p.where.line, p.where.column) for p in caught.value.problems if isinstance(p.where, Position)]
        assert places == sorted(places)
        assert len(places) == len(caught.value.problems)


def test_long_lists_take_no_time() -> None:
    choices = [f"choice-{number}" for number in range(30_000)]
    began = time.process_time()
    with pytest.raises(GraphError) as refused:
        check_document({"bundle": "a", "version": "1", "values": {"v": {"enum": [*choices, "choice-7"]}}})
    (problem,) = refused.value.problems
    assert "stands twice" in problem.message
    assert time.process_time() - began < 5


def main() -> None:
    blocks = [f"=== {title}\n{graph}--- says\n{said(graph)}" for title, graph, _ in cases(MESSAGES.read_text("utf-8"))]
    MESSAGES.write_text("".join(blocks), "utf-8")
    for file in BROKEN.glob("*.yaml"):
        file.with_suffix(".txt").write_text(said(file.read_text("utf-8"), file.name, Libraries(BROKEN)), "utf-8")


if __name__ == "__main__":
    main()
