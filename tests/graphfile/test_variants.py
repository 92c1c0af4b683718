"""A variant over a graph: the patch, its one rule more, and what is said of mistakes."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundler.errors import GraphError
from bundler.graphfile import variants
from bundler.graphfile.check import check
from bundler.graphfile.library import Libraries, Library
from bundler.graphfile.source import Source, parse, placed
from bundler.graphfile.written import written
from bundler.model.graph import Graph

LIBRARIES = Libraries(Path(), own=Library.of(Path(__file__).parent / "libraries" / "own", "library"))
GRAPH = """\
bundle: shop
version: "1.0"
values:
  language: {enum: [en, de], default: en}
volumes: {runs: {}}
services:
  db:
    use: postgres@17
    resources: {memory: 2GiB}
  board:
    use: tensorboard
    connect: {logs: runs}
  api:
    image: acme/api:1
    expose: {http: 8000}
    connect: {store: db.sql}
    environment: {URL: "${store.url}", LANGUAGE: "${values.language}"}
publish: {api: api.http, board: board.http}
"""


def varied(variant: str, graph: str = GRAPH) -> Graph:
    head = "variant: acme\nof: shop\n"
    base = parse(graph, "bundle.yaml")
    over = variants.varied(base, parse(head + textwrap.dedent(variant), "variants/acme.yaml"), "acme")
    return variants.checked(over, base, "acme", LIBRARIES)[0]


def said(variant: str, graph: str = GRAPH) -> list[str]:
    with pytest.raises(GraphError) as caught:
        varied(variant, graph)
    return [str(problem) for problem in caught.value.problems]


def service(graph: Graph, name: str) -> dict[str, object]:
    found: dict[str, object] = written(graph)["services"][name]
    return found


def test_a_variant_that_says_nothing_is_the_graph() -> None:
    assert varied("") == check(parse(GRAPH, "bundle.yaml"), LIBRARIES)


def test_maps_merge_anything_else_replaces_and_null_removes() -> None:
    made = varied(
        """\
        values: {language: {default: de}}
        services:
          board: null
          api:
            image: acme/api:2
            environment: {LANGUAGE: null, MODE: fast}
        publish: {board: null}
        """
    )
    api = service(made, "api")
    assert api["image"] == "acme/api:2"
    assert api["environment"] == {"MODE": "fast", "URL": "${store.url}"}
    assert made.values[0].default == "de"
    assert [one.name for one in made.services] == ["api", "db"]
    assert [door.name for door in made.doors] == ["api"]


def test_a_component_is_overridden_where_it_stays() -> None:
    db = service(varied("services: {db: {resources: {shm: 512MiB}, healthcheck: null}}\n"), "db")
    assert db["resources"] == {"memory": "2GiB", "shm": "512MiB"}
    assert "healthcheck" not in db


def test_a_service_whose_use_changes_is_replaced_whole() -> None:
    other = GRAPH.replace(
        "use: tensorboard\n    connect: {logs: runs}", "use: tensorboard\n    connect: {logs: runs}\n    init: true"
    )
    made = varied("services: {board: {use: postgres@17}}\npublish: {board: board.sql}\n", other)
    assert "init" not in service(made, "board")
    assert service(made, "board")["image"] == service(made, "db")["image"]


def test_a_component_gives_way_to_an_image() -> None:
    made = varied("services: {board: {use: null, image: acme/board:1, expose: {http: 1}}}\n")
    assert service(made, "board")["image"] == "acme/board:1"
    assert "volumes" not in service(made, "board")


def test_a_flow_is_rewired_to_a_node_that_is_added() -> None:
    made = varied(
        """\
        services:
          cache: {image: acme/cache:1, expose: {sql: {port: 5432, as: postgres}}, connect: {behind: db.sql}}
          api: {connect: {store: cache.sql}}
        """
    )
    assert service(made, "api")["connect"] == {"store": {"to": "cache.sql", "wait": True}}
    assert made.waves == (("board", "db"), ("cache",), ("api",))


@pytest.mark.parametrize(
    ("variant", "problems"),
    [
        (
            "services: {bord: null}\n",
            ['variants/acme.yaml:3:12: the graph has no service "bord" to leave out\n    did you mean "board"?'],
        ),
        (
            "publish: {bord: null}\n",
            ['variants/acme.yaml:3:11: the graph has no front door "bord" to leave out\n    did you mean "board"?'],
        ),
        (
            "services: {board: null}\n",
            [
                'bundle.yaml:18:33: there is no service "board" (in the variant acme)\n    did you mean "board"?',
            ],
        ),
        (
            "services: {api: {imag: x}}\n",
            ['variants/acme.yaml:3:18: "imag" is no key of a service\n    did you mean "image"?'],
        ),
        (
            "services: {api: acme/api:2}\n",
            ["variants/acme.yaml:3:17: a service is changed by a map of its keys"],
        ),
        (
            'version: "2"\n',
            ['variants/acme.yaml:3:1: "version" is no key of a variant\n    a variant has the version of its graph'],
        ),
        ("service: {}\n", ['variants/acme.yaml:3:1: "service" is no key of a variant\n    did you mean "services"?']),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_stand(variant: str, problems: list[str]) -> None:
    found = said(variant)
    if "there is no service" in problems[0]:  # what is near among the names that are left is not the point
        found = [text.partition("\n")[0] for text in found]
        problems = [text.partition("\n")[0] for text in problems]
    assert found == problems


def test_a_variant_of_another_graph_or_name_is_refused() -> None:
    base = parse(GRAPH, "bundle.yaml")
    for text, words in (
        ("variant: other\nof: shop\n", "the file is called acme.yaml"),
        ("variant: acme\nof: store\n", 'the graph beside it is "shop"'),
        ("", "a variant begins with variant: NAME"),
        ("variant: acme\n", 'has no "of"'),
    ):
        with pytest.raises(GraphError) as caught:
            variants.varied(base, parse(text, "variants/acme.yaml"), "acme")
        assert any(words in f"{problem}" for problem in caught.value.problems), text


def test_variants_are_the_files_beside_the_graph(tmp_path: Path) -> None:
    assert variants.names(tmp_path) == ()
    (tmp_path / "variants").mkdir()
    for name in ("b.yaml", "a.yaml", "notes.txt"):
        (tmp_path / "variants" / name).write_text("")
    assert variants.names(tmp_path) == ("a", "b")


# RFC 7386, in its own words
def rfc(target: object, patch: object) -> object:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = rfc(result.get(name), value)
    return result


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
SECTION = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.dictionaries(st.sampled_from(["values", "jobs", "publish"]), SECTION), SECTION)
def test_a_section_is_patched_as_the_rfc_says(graph: dict[str, object], changes: dict[str, object]) -> None:
    data = {"bundle": "shop", **graph}
    removed = {name for name, part in changes.items() if part is None}
    known = graph.get("jobs", {})
    patch = {name: part for name, part in changes.items() if name not in removed or name in known}  # type: ignore[operator]
    over = placed({"variant": "acme", "of": "shop", "jobs": patch}, "variant")
    assert variants.varied(Source("bundle.yaml", data), over, "acme").data == rfc(data, {"jobs": patch})


def test_a_mistake_that_shows_in_a_component_says_in_which_variant_it_was_made() -> None:
    (problem,) = said("services: {db: {parts: {volumes: {data: null}}}}")
    assert problem.startswith("library/postgres@17")
    assert 'there is no volume "db-data" (in the variant acme)' in problem
