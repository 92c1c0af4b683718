"""bundle explain: the documentation of every key, from the grammar itself."""

from __future__ import annotations

import json

import pytest

from bundler.cli.main import run
from bundler.graphfile import explained, placeholders
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.shapes import Either, Key, ListOf, MapOf, Record, Shape, Text
from bundler.graphfile.source import parse
from bundler.graphfile.types import TYPES
from bundler.graphfile.walk import Walker


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(["explain", *arguments]) == 0
    return capsys.readouterr().out


def keys(record: Record) -> list[Key]:
    return [
        one for key in record.keys for one in (key, *(k for inner in explained.records(key.shape) for k in keys(inner)))
    ]


def test_a_key_is_explained_by_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "services.healthcheck")
    assert page.startswith("services.healthcheck\n  When the service is ready: http, tcp or test.\n")
    assert "its keys, exactly one of http, tcp, test:" in page
    assert "interval      Time between two checks.\n" in page
    assert "500ms; default: 10s " in " ".join(page.split())  # however wide the page is
    assert page.endswith("for example:\n  healthcheck: {http: /healthz}\n")


@pytest.mark.parametrize("asked", ["healthcheck", "graph.services.healthcheck", "services.api.healthcheck"])
def test_the_end_of_a_path_and_a_path_of_a_real_file_do_too(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, asked) == said(capsys, "services.healthcheck")


def test_the_same_key_at_several_places_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "also at: jobs.image\n" in said(capsys, "image")
    assert "also at: services.liveness.http\n" in said(capsys, "services.api.healthcheck.http")


def test_several_keys_of_one_name_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "timeout")
    assert page.startswith("several keys are called timeout:\n")
    for path in ("services.healthcheck.timeout", "jobs.timeout", "site.timeout"):
        assert f"  {path} " in page
        assert said(capsys, path).startswith(f"{path}\n")


def test_a_section_wins_over_a_key_of_the_same_name(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "secrets")
    assert page.startswith("secrets\n")
    assert "not to be confused with: services.secrets, jobs.secrets, site.secrets" in page


def test_without_a_key_there_are_the_sections_of_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys)
    for name, (_, record) in explained.DOCUMENTS.items():
        assert f"{name}: {record.doc[:40]}" in page
    assert "publish    Front doors: " in page


def test_every_key_there_is_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for name in explained.names():
        assert said(capsys, name).strip()
        assert json.loads(said(capsys, name, "--json"))


def test_the_types_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "types")
    assert all(f"\n{name} " in page for name in TYPES)
    told = json.loads(said(capsys, "types.s3", "--json"))[0]
    assert told["secret"] == ["secret_key"]
    assert "bucket" in told["fields"]
    assert told["schemes"] == ["http", "https", "s3"]
    assert "an external's address begins with redis:// or rediss:// or " in said(capsys, "types.redis")
    assert "begins with" not in said(capsys, "types.tcp") + page


def texts(record: Record) -> set[str]:
    """The keys whose own texts may hold placeholders."""
    found = set()
    for key in keys(record):
        shapes: list[Shape] = [key.shape]
        while shapes:
            match shapes.pop():
                case Text() as text if text.placeholders:
                    found.add(key.name)
                case Either() as either:
                    shapes += either.shapes
                case ListOf() as items:
                    shapes.append(items.items)
                case MapOf() as named:
                    shapes.append(named.values)
    return found


def test_the_placeholders_with_where_they_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "placeholders")
    told = json.loads(said(capsys, "placeholders", "--json"))
    assert told == {"forms": dict(placeholders.FORMS), "read_in": dict(placeholders.READ_IN)}
    assert all(f"  {word} " in page for word in (*placeholders.FORMS, *placeholders.READ_IN))
    assert [str(ref) for ref in placeholders.refs(" ".join(placeholders.FORMS))] == [
        "${values.NAME}", "${secrets.NAME}", "${secrets.NAME.encoded}", "${SLOT.url}", "${publish.DOOR.url}",
    ]  # fmt: skip
    assert placeholders.parse("$${values.NAME}") == ("${values.NAME}",)
    read = " ".join(f"{place} {which}" for place, which in placeholders.READ_IN.items())
    assert {name for name in texts(GRAPH) if name not in read} == set()


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("helthcheck", 'did you mean "healthcheck"?'),
        ("services.helthcheck", 'did you mean "services.healthcheck"?'),
        ("services.restart", "services always restart"),
        ("ports", "in a graph: front doors are under publish"),
        ("types.postgre", 'did you mean "postgres"?'),
        ("qwertz", "bundle explain names the sections"),
        ("..", "bundle explain names the sections"),
    ],
)
def test_a_word_that_is_no_key_is_answered_with_what_to_write(
    asked: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", asked]) == 2
    assert hint in capsys.readouterr().err


def test_every_example_is_right() -> None:
    shown = [key for _, record in explained.DOCUMENTS.values() for key in keys(record) if key.example is not None]
    assert len(shown) > 30
    for key in shown:
        source = parse(f"{key.name}: {key.example}\n", key.name)
        walker = Walker(source)
        walker.walk(key.shape, source.data[key.name], (key.name,))
        assert walker.problems == []
