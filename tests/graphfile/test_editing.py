"""A node is put into the text of a graph, and nothing else in it changes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.errors import GraphError, UsageError
from bundler.graphfile import source
from bundler.graphfile.editing import Addition, added
from bundler.graphfile.source import parse

NODE = Addition("services", "tb", {"use": "tensorboard@2.20", "connect": {"logs": "runs"}})
VOLUME = Addition("volumes", "runs", {})
DOOR = Addition("publish", "tb", "tb.http")
SUITE = Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8")


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers find the same place."""
    monkeypatch.setattr(source, "_LOADER", getattr(yaml, request.param, yaml.SafeLoader))


def test_in_a_section_of_the_usual_form_it_is_the_last() -> None:
    text = "bundle: a\nservices:\n  api:\n    image: a   # mine\njobs:\n  b: {image: b}\n"
    assert added(text, "f", [NODE]) == (
        "bundle: a\nservices:\n  api:\n    image: a   # mine\n"
        "  tb:\n    use: tensorboard@2.20\n    connect: {logs: runs}\n"
        "jobs:\n  b: {image: b}\n"
    )


def test_several_are_added_one_after_the_other() -> None:
    text = "bundle: a\nservices:\n  api: {image: a}\n"
    assert added(text, "f", [NODE, VOLUME, DOOR]) == (
        text + "  tb:\n    use: tensorboard@2.20\n    connect: {logs: runs}\n"
        "\nvolumes:\n  runs: {}\n\npublish:\n  tb: tb.http\n"
    )


@pytest.mark.parametrize(
    ("text", "new"),
    [
        pytest.param("volumes:\n- a\n", None, id="a section that is a list"),
        pytest.param("volumes: a\n", None, id="a section that is a text"),
        pytest.param("- a\n", None, id="a list"),
        pytest.param("", None, id="nothing"),
        pytest.param("# a comment\n", None, id="nothing but a comment"),
        pytest.param("a: b\n", "a: b\n\nvolumes:\n  runs: {}\n", id="no section"),
        pytest.param("a: b", "a: b\n\nvolumes:\n  runs: {}\n", id="no section, no end of line"),
        pytest.param("a: b\n\n", "a: b\n\nvolumes:\n  runs: {}\n", id="no section, an empty line at the end"),
        pytest.param("a: b\n# end\n", "a: b\n# end\n\nvolumes:\n  runs: {}\n", id="no section, a comment at the end"),
        pytest.param("a: b\n...\n", "a: b\n\nvolumes:\n  runs: {}\n...\n", id="no section, a mark of the end"),
        pytest.param("--- \na: b\n", "--- \na: b\n\nvolumes:\n  runs: {}\n", id="no section, a mark of the beginning"),
        pytest.param("a: |+\n  b\n\n", "a: |+\n  b\n\nvolumes:\n  runs: {}\n", id="no section after a kept text"),
        pytest.param("a: |+\n  b\n", "a: |+\n  b\nvolumes:\n  runs: {}\n", id="no section after a text without a line"),
        pytest.param("  a: b\n", "  a: b\n\n  volumes:\n    runs: {}\n", id="no section, everything indented"),
        pytest.param("a:\n    b: c\n", "a:\n    b: c\n\nvolumes:\n    runs: {}\n", id="no section, four spaces"),
        pytest.param("volumes: {}\n", "volumes:\n  runs: {}\n", id="an empty section"),
        pytest.param("volumes:\n", "volumes:\n  runs: {}\n", id="a section with nothing"),
        pytest.param("volumes:", "volumes:\n  runs: {}\n", id="a section with nothing, no end of line"),
        pytest.param("volumes: null # x\n", "volumes:  # x\n  runs: {}\n", id="a section that says null"),
        pytest.param("volumes: {} # none\nb: c\n", "volumes:  # none\n  runs: {}\nb: c\n", id="empty, with a comment"),
        pytest.param("volumes:\n  # a:\nb: c\n", "volumes:\n  # a:\n  runs: {}\nb: c\n", id="nothing but comments"),
        pytest.param("volumes:\n  {}\n", "volumes:\n  runs: {}\n\n", id="an empty section below its name"),
        pytest.param("volumes: {a: {}}\n", "volumes: {a: {}, runs: {}}\n", id="braces"),
        pytest.param("volumes: {a: {},}\n", "volumes: {a: {}, runs: {},}\n", id="braces, a comma at the end"),
        pytest.param("volumes: { a: {} } # x\n", "volumes: { a: {}, runs: {} } # x\n", id="braces with spaces"),
        pytest.param(
            "volumes: {\n  a: {},  # x\n  b: {}  # y\n}\n",
            "volumes: {\n  a: {},  # x\n  b: {},  # y\n  runs: {}\n}\n",
            id="braces, one on a line",
        ),
        pytest.param(
            "volumes: {\n  a: {},\n}\n", "volumes: {\n  a: {},\n  runs: {},\n}\n", id="one on a line with a comma"
        ),
        pytest.param("{a: b}\n", "{a: b, volumes: {runs: {}}}\n", id="a graph in braces"),
        pytest.param('{"volumes": {"a": {}}}', '{"volumes": {"a": {}, runs: {}}}', id="a graph in JSON"),
        pytest.param("{volumes: {}}\n", "{volumes: {runs: {}}}\n", id="an empty section of a graph in braces"),
        pytest.param("volumes:\n    a: {}\n", "volumes:\n    a: {}\n    runs: {}\n", id="four spaces"),
        pytest.param("volumes:\n a: {}\n", "volumes:\n a: {}\n runs: {}\n", id="one space"),
        pytest.param("volumes:\n  a: {}", "volumes:\n  a: {}\n  runs: {}\n", id="no end of line"),
        pytest.param("volumes:\r\n  a: {}\r\n", "volumes:\r\n  a: {}\r\n  runs: {}\r\n", id="lines of Windows"),
        pytest.param("volumes:\r\n  a: {}", "volumes:\r\n  a: {}\r\n  runs: {}\r\n", id="the same without the last"),
        pytest.param("volumes:\r  a: {}\r", "volumes:\r  a: {}\r  runs: {}\r", id="lines of old"),
        pytest.param("\ufeffvolumes:\n  a: {}\n", "\ufeffvolumes:\n  a: {}\n  runs: {}\n", id="a byte order mark"),
        pytest.param("volumes:\n  a: {} #\tx\n", "volumes:\n  a: {} #\tx\n  runs: {}\n", id="a tab"),
        pytest.param(
            "volumes:\n  a: {}\n  # b: {}\n\n# jobs\njobs: {}\n",
            "volumes:\n  a: {}\n  # b: {}\n  runs: {}\n\n# jobs\njobs: {}\n",
            id="comments of the section, and of the next",
        ),
        pytest.param(
            "volumes:\n  a: {}\n\n  b: {}\n\njobs: {}\n",
            "volumes:\n  a: {}\n\n  b: {}\n\n  runs: {}\n\njobs: {}\n",
            id="empty lines between",
        ),
        pytest.param(
            "volumes:\n  a: {}\n\n  # the second\n  b: {}\n",
            "volumes:\n  a: {}\n\n  # the second\n  b: {}\n\n  runs: {}\n",
            id="empty lines and comments between",
        ),
        pytest.param(
            "volumes:\n  a: {\n}\njobs: {}\n", "volumes:\n  a: {\n}\n  runs: {}\njobs: {}\n", id="a brace in no column"
        ),
        pytest.param(
            "volumes:\n  a: |\n    x\n    # y\n\n\njobs: {}\n",
            "volumes:\n  a: |\n    x\n    # y\n\n\n  runs: {}\njobs: {}\n",
            id="a text that looks like a comment",
        ),
        pytest.param(
            'volumes:\n  a: "x\n\n  # y"\njobs: {}\n',
            'volumes:\n  a: "x\n\n  # y"\n  runs: {}\njobs: {}\n',
            id="a text over lines",
        ),
        pytest.param(
            "volumes:\n  a:\njobs: {}\n", "volumes:\n  a:\n  runs: {}\njobs: {}\n", id="a node with nothing in it"
        ),
        pytest.param(
            "volumes:\n  ä🙂: {}\n", "volumes:\n  ä🙂: {}\n  runs: {}\n", id="characters of more than one byte"
        ),
        pytest.param('"volumes":\n  a: {}\n', '"volumes":\n  a: {}\n  runs: {}\n', id="a name in quotes"),
    ],
)  # fmt: skip
def test_every_layout_keeps_its_form(text: str, new: str | None) -> None:
    if new is None:
        with pytest.raises(UsageError) as refused:
            added(text, "f", [VOLUME])
        assert str(refused.value.hint).endswith("volumes:\n  runs: {}")
    else:
        assert added(text, "f", [VOLUME]) == new


def test_names_that_yaml_would_read_otherwise_are_quoted() -> None:
    made = added("a: b\n", "f", [Addition("services", "null", {"use": "x@1", "connect": {"true": "y.z"}})])
    assert parse(made, "f").data == {"a": "b", "services": {"null": {"use": "x@1", "connect": {"true": "y.z"}}}}


def test_what_is_no_yaml_is_told_to_be_none() -> None:
    with pytest.raises(GraphError):
        added("a: [\n", "f", [VOLUME])


def test_a_name_that_is_there_is_not_added_again() -> None:
    with pytest.raises(UsageError):
        added("volumes:\n  runs: {size: 1GiB}\n", "f", [VOLUME])


def test_a_node_of_four_spaces_has_keys_of_four_spaces() -> None:
    text = "services:\n    api:\n        image: a\n"
    assert added(text, "f", [NODE]).endswith("    tb:\n        use: tensorboard@2.20\n        connect: {logs: runs}\n")


_EDITS = st.lists(
    st.tuples(st.integers(0, len(SUITE)), st.integers(0, 20), st.text(alphabet="ab:-{}\"'| \n#\r", max_size=4)),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(_EDITS, st.sampled_from([NODE, VOLUME, DOOR, Addition("secrets", "s", {})]))
def test_the_rest_of_any_graph_stays_as_it_is(edits: list[tuple[int, int, str]], one: Addition) -> None:
    text = SUITE
    for at, length, more in edits:
        text = text[:at] + more + text[at + length :]
    try:
        made = added(text, "f", [one])
    except (GraphError, UsageError):
        return
    before: Any = parse(text, "f").data
    after: Any = parse(made, "f").data
    assert after[one.section].pop(one.name) == (one.data if isinstance(one.data, str) else dict(one.data))
    assert after == {**before, one.section: before.get(one.section) or {}}
    kept = [line for line in difflib.ndiff(text.splitlines(), made.splitlines()) if line.startswith("- ")]
    assert len(kept) <= 1


def test_the_suite_takes_all_of_them() -> None:
    made = added(SUITE, "f", [NODE, Addition("volumes", "more", {}), DOOR])
    gone = [line for line in difflib.ndiff(SUITE.splitlines(), made.splitlines()) if line.startswith("- ")]
    assert gone == []
