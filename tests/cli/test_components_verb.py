"""bundle components: what there is, and all about one of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.graphfile.check import check
from bundler.graphfile.library import OWN, Libraries
from bundler.graphfile.source import document, parse

LIBRARIES = Path(__file__).parents[1] / "graphfile" / "libraries"


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph with a library in the current directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(LIBRARIES / "components", tmp_path / "components")
    file = tmp_path / "bundle.yaml"
    file.write_text('bundle: shop\nversion: "1"\nlibraries: {acme: ./components}\n')
    return file


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Name and version of what is listed."""
    capsys.readouterr()
    assert run(["components", "--json", *arguments]) == 0
    return {row["component"]: row["version"] for row in json.loads(capsys.readouterr().out)}


def test_the_library_and_those_of_the_graph_are_listed(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["components"]) == 0
    said = capsys.readouterr()
    heading, *rows = said.out.splitlines()
    assert heading.split() == ["COMPONENT", "VERSION", "WHAT", "IT", "IS"]
    names = [row.split()[0] for row in rows]
    assert {"postgres", "tensorboard", "acme/queue", "acme/tracker", "acme/worker"} <= set(names)
    assert len(names) == len(set(names))
    assert "bundle add NAME" in said.err
    assert listed(capsys)["acme/queue"] == "1.5"


def test_without_a_graph_the_library_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(listed(capsys)) == {path.name.partition("@")[0] for path in OWN.glob("*.yaml")}
    assert run(["components", "--graph", "nowhere"]) == 2


def test_the_library_of_a_graph_elsewhere(
    graph: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/")
    assert "acme/queue" in listed(capsys, "--graph", str(graph.parent))
    assert run(["components", "show", "acme/queue", "--graph", str(graph)]) == 0


def test_a_search_finds_all_words_in_any_order(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(listed(capsys, "--search", "JOB worker BEFORE")) == {"acme/queue"}
    assert set(listed(capsys, "--search", "acme")) == {"acme/queue", "acme/tracker", "acme/worker"}
    assert listed(capsys, "--search", "nothing of the kind") == {}
    assert run(["components", "--search", "nothing of the kind"]) == 0
    assert "no component is about 'nothing of the kind'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("postgres", ["postgres", "pgvector"]),  # its name, then the type of an endpoint
        ("redis", ["valkey"]),
        ("database", ["pgvector", "postgres", "qdrant"]),  # and not whose pages speak of one
        ("vector database", ["pgvector", "qdrant"]),
        ("SQL", ["pgvector", "postgres"]),
        ("object storage", ["versitygw"]),  # of pages, as nothing else has it
        ("ai", []),
    ],
)
def test_a_search_finds_the_nearest_first_and_nothing_far_where_there_is_something_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, found: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(listed(capsys, "--search", words)) == found


def test_all_about_one(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["components", "show", "acme/queue"]) == 0
    page = capsys.readouterr().out
    assert page == (Path(__file__).with_name("queue.txt")).read_text()


def test_all_about_one_for_programs(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["components", "show", "acme/tracker@2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["needs"] == {"store": "postgres"}
    assert told["use"] == "acme/tracker@2.1"
    assert told["endpoints"] == [
        {"service": "tracker", "name": "http", "port": 5000, "type": "http", "fields": ["host", "port", "url"]}
    ]
    assert told["snippet"].startswith("services:\n  tracker:\n    use: acme/tracker@2.1\n")


def test_the_snippet_is_ready(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["components", "show", "postgres", "--json"]) == 0
    snippet = parse(json.loads(capsys.readouterr().out)["snippet"], "f").data
    assert isinstance(snippet, dict)
    assert check(document({"bundle": "a", "version": "1", **snippet}), Libraries(graph.parent)).services


def test_a_component_with_mistakes_is_listed_and_its_mistakes_are_shown(
    graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(LIBRARIES / "bad" / "slots@1.yaml", graph.parent / "components")
    assert run(["components"]) == 0
    said = capsys.readouterr()
    assert "acme/slots    1        (not right)" in said.out
    assert "warning: components/slots@1.yaml has 4 mistakes; to see which: bundle comp" in said.err
    assert run(["components", "show", "acme/slots"]) == 3
    assert 'components/slots@1.yaml:6:3: "slots" is a slot under needs' in capsys.readouterr().err


def test_what_the_graph_has_wrong_hides_nothing(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text("libraries: {acme: ./components, gone: ./gone}\n")
    assert "acme/queue" in listed(capsys)
    graph.write_text("a: [\n")
    assert "postgres" in listed(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "postgress"], 'the library has no component "postgress"\n  did you mean "postgres"?'),
        (["show", "queue"], "write acme/queue"),
        (["postgres"], "To see one: bundle components show postgres"),
    ],
)
def test_one_that_is_not_there(
    graph: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["components", *arguments]) == 2
    assert said in capsys.readouterr().err
