"""`use`: what a component becomes in a graph, and what is said where it cannot.

`components.txt` holds broken graphs with everything said about them; their libraries are in `libraries`. After a change
of wording run `python tests/graphfile/test_components.py` and read the difference.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.errors import GraphError, Position
from bundler.graphfile import forms
from bundler.graphfile.check import check, checked
from bundler.graphfile.component_names import MOUNTS
from bundler.graphfile.component_rules import mistakes
from bundler.graphfile.library import Libraries, Library
from bundler.graphfile.source import Source, document, parse
from bundler.graphfile.written import written

HERE = Path(__file__).with_name("libraries")
MESSAGES = Path(__file__).with_name("components.txt")
LIBRARIES = Libraries(HERE, own=Library.of(HERE / "own", "library"))
HEAD = 'bundle: shop\nversion: "1.0"\nlibraries: {acme: ./components}\n'


def graph(text: str) -> dict[str, Any]:
    """What a graph says, all spelt out."""
    return written(check(parse(HEAD + text, "bundle.yaml"), LIBRARIES))


def service(text: str, name: str = "a") -> dict[str, Any]:
    """What a service of a graph says."""
    found: dict[str, Any] = graph(text)["services"][name]
    return found


def said(text: str) -> str:
    try:
        check(parse(text, "bundle.yaml"), LIBRARIES)
    except GraphError as error:
        return "".join(f"{problem}\n" for problem in error.problems)
    return ""


def cases() -> list[tuple[str, str, str]]:
    """Title, graph and expected words."""
    found = []
    for block in re.split(r"^=== ", MESSAGES.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        text, _, words = rest.partition("--- says\n")
        found.append((title, text, words))
    return found


@pytest.mark.parametrize(("text", "words"), [pytest.param(text, words, id=title) for title, text, words in cases()])
def test_a_use_that_cannot_be_is_told_everything_that_is_wrong_with_it(text: str, words: str) -> None:
    assert words, "a broken graph has something said about it"
    assert said(text) == words


def test_a_component_says_the_same_as_its_nodes_written_out() -> None:
    used = graph("services: {a: {use: acme/queue@1.5}}")
    assert used == graph(
        """
services:
  a:
    image: registry.example/queue:1.0
    entrypoint: [queue, "--password=${secrets.a-token}"]
    expose: {http: 8080, amqp: 5672}
    outputs: {amqp: {user: queue, password: "${secrets.a-token}"}}
    environment: {PRICE: "$${secrets.token}", TOKEN: "${secrets.a-token}"}
    depends_on: [a-migrate]
    volumes: [a-data:/data]
    configs: [a-settings:/etc/queue.conf]
    models: [a-weights:/models]
    secrets: [a-token:/run/secrets/token]
    healthcheck: {http: /healthz, port: 8080}
    liveness: {test: [queue, alive]}
  a-worker:
    image: registry.example/worker:1.0
    connect: {work: {to: a.amqp, wait: false}}
    environment: {QUEUE: "${work.url}"}
    depends_on: {a: {condition: service_healthy}}
    secrets: [a-token:/etc/token]
jobs: {a-migrate: {image: "registry.example/queue:1.0", run: install, volumes: [a-data:/data]}}
volumes: {a-data: {size: 1GiB}}
configs: {a-settings: {content: "token ${secrets.a-token}"}}
secrets: {a-token: {generate: 16}}
models: {a-weights: {from: "registry.example/weights:1.0"}}
"""
    )


def test_the_written_graph_uses_nothing_any_more() -> None:
    text = graph("services: {a: {use: acme/queue}, b: {use: postgres}}")
    assert check(document(text)) == check(
        parse(HEAD + "services: {a: {use: acme/queue}, b: {use: postgres}}", "f"), LIBRARIES
    )


def test_one_component_is_used_several_times() -> None:
    both = graph("services: {a: {use: postgres}, b: {use: postgres, environment: {POSTGRES_DB: other}}}")
    assert sorted(both["services"]) == ["a", "b"]
    assert sorted(both["volumes"]) == ["a-data", "b-data"]
    assert sorted(both["secrets"]) == ["a-password", "b-password"]
    assert both["services"]["a"]["environment"]["POSTGRES_DB"] == "app"
    assert both["services"]["b"]["environment"]["POSTGRES_DB"] == "other"


def test_a_node_may_have_the_name_of_its_component_or_of_another() -> None:
    names = graph("services: {postgres: {use: postgres}, queue: {use: acme/worker}}")
    assert sorted(names["services"]) == ["postgres", "queue", "queue-more"]


def test_others_name_what_a_component_brings() -> None:
    text = """
services:
  a: {use: acme/queue}
  mine:
    image: a
    connect: {q: a.amqp}
    environment: {URL: "${q.url}", TOKEN: "${secrets.a-token}"}
    volumes: [a-data:/backup:ro]
    depends_on: [a-migrate, a-worker]
publish: {queue: a.http}
"""
    assert service(text, "mine")["volumes"] == ["a-data:/backup:ro"]


# what it needs


def test_a_volume_that_is_needed_takes_the_place_of_the_slot() -> None:
    text = "volumes: {runs: {size: 1GiB}}\nservices: {a: {use: tensorboard, connect: {logs: runs}}}"
    assert service(text)["volumes"] == ["runs:/logs:ro"]
    assert "connect" not in service(text)
    assert graph(text)["volumes"] == {"runs": {"size": "1GiB"}}
    assert graph(text.replace("logs: runs", "logs: {to: runs}")) == graph(text)


def test_a_volume_that_is_needed_may_be_one_that_another_component_brings() -> None:
    text = "services: {b: {use: tensorboard, connect: {logs: a-data}}, a: {use: acme/queue}}"
    assert service(text, "b")["volumes"] == ["a-data:/logs:ro"]


@pytest.mark.parametrize(
    ("written_as", "wait"), [("db.sql", False), ("{to: db.sql}", False), ("{to: db.sql, wait: true}", True)]
)
def test_of_an_edge_to_a_slot_the_graph_has_the_last_word(written_as: str, wait: bool) -> None:
    used = graph(f"services: {{db: {{use: postgres}}, a: {{use: acme/tracker, connect: {{store: {written_as}}}}}}}")
    assert used["services"]["a"]["connect"] == {"db": {"to": "db.sql", "wait": wait}}
    assert used["services"]["a-side"]["connect"] == {"db": {"to": "db.sql", "wait": True}}


def test_wait_false_is_for_every_edge_to_the_slot() -> None:
    used = graph("services: {db: {use: postgres}, a: {use: acme/tracker, connect: {store: {to: db.sql, wait: false}}}}")
    assert used["services"]["a-side"]["connect"] == {"db": {"to": "db.sql", "wait": False}}


def test_what_is_needed_may_lie_outside() -> None:
    used = graph("externals: {db: {as: postgres}}\nservices: {a: {use: acme/tracker, connect: {store: db}}}")
    assert used["services"]["a"]["connect"]["db"]["to"] == "db"


def test_slots_of_the_node_itself_stand_beside_those_of_the_component() -> None:
    connect = "connect: {store: db.sql, x: db.sql}, environment: {X: '${x.url}'}"
    text = f"services: {{db: {{use: postgres}}, a: {{use: acme/tracker, {connect}}}}}"
    assert sorted(service(text)["connect"]) == ["db", "x"]


# overrides


def test_keys_of_the_node_are_laid_over_those_of_the_component() -> None:
    db = service(
        """
services:
  a:
    use: postgres
    resources: {memory: 8GiB, shm: null}
    environment: {POSTGRES_DB: shop, PGDATA: null, MORE: 1}
    outputs: {sql: {database: shop}}
    stop_signal: null
    user: 0
"""
    )
    assert db["resources"] == {"memory": "8GiB"}
    assert "PGDATA" not in db["environment"]
    assert db["environment"]["POSTGRES_DB"] == "shop"
    assert db["environment"]["POSTGRES_USER"] == "app"
    assert db["outputs"]["sql"]["database"] == "shop"
    assert "stop_signal" not in db
    assert db["user"] == "0"


@pytest.mark.parametrize(
    ("mounts", "has"),
    [
        ("[more:/more]", ["more:/more", "a-data:/data"]),
        ("[more:/data]", ["more:/data"]),
        ("[more:/data:ro]", ["more:/data:ro"]),
        ("[a-data:/data:ro]", ["a-data:/data:ro"]),
        ("[]", ["a-data:/data"]),
    ],
)
def test_mounts_are_added_and_one_at_the_same_path_takes_its_place(mounts: str, has: list[str]) -> None:
    text = f"volumes: {{more: {{}}}}\nservices: {{a: {{use: acme/queue, volumes: {mounts}}}}}"
    assert service(text)["volumes"] == has


def test_a_secret_takes_the_place_of_the_one_at_its_path() -> None:
    text = "secrets: {mine: {}}\nservices: {a: {use: acme/queue, secrets: ['mine:/run/secrets/token']}}"
    assert service(text)["secrets"] == ["mine:/run/secrets/token"]


def test_what_nothing_mounts_any_more_does_not_come_along() -> None:
    text = "volumes: {mine: {}}\nservices: {a: {use: postgres, volumes: [mine:/var/lib/postgresql/data]}}"
    assert sorted(graph(text)["volumes"]) == ["mine"]
    without = graph("services: {a: {use: acme/queue, configs: null, models: null}}")
    assert "configs" not in without
    assert "models" not in without
    assert sorted(without["volumes"]) == ["a-data"]  # the job mounts it too


def test_dependencies_are_added() -> None:
    more = service("services: {one: {image: a}, a: {use: acme/queue, depends_on: [one]}}")
    assert sorted(more["depends_on"]) == ["a-migrate", "one"]
    conditions = "{one: {condition: service_started}}"
    more = service(f"services: {{one: {{image: a}}, a: {{use: acme/worker, depends_on: {conditions}}}}}")
    assert sorted(more["depends_on"]) == ["a-make", "one"]
    assert "depends_on" not in service("services: {a: {use: acme/queue, depends_on: null}}")


def test_a_build_takes_the_place_of_the_image() -> None:
    built = service("services: {a: {use: postgres, build: ./db}}")
    assert built["build"] == "db"
    assert "image" not in built


def test_another_health_check_takes_the_place_of_that_of_the_component() -> None:
    tcp = service("services: {a: {use: acme/queue, healthcheck: {tcp: true, interval: 1s}}}")["healthcheck"]
    assert (tcp["tcp"], tcp["port"], tcp["interval"]) == (True, 8080, "1s")
    assert "http" not in tcp
    test = service("services: {a: {use: acme/queue, healthcheck: {test: [ok]}}}")["healthcheck"]
    assert test["test"] == ["ok"]
    assert "port" not in test
    assert "healthcheck" not in service("services: {a: {use: postgres, healthcheck: null}}")


def test_what_asks_no_port_of_its_own_asks_the_first_that_the_component_names() -> None:
    text = "services: {a: {use: acme/queue, expose: {more: 9}, healthcheck: {http: /, port: null}}}"
    assert service(text)["healthcheck"]["port"] == 8080


# parts


def test_parts_change_what_comes_along_under_its_name_in_the_component() -> None:
    used = graph(
        """
values: {lang: {default: en}}
volumes: {shared: {}}
secrets: {mine: {}}
services:
  a:
    use: acme/queue
    parts:
      volumes: {data: {size: 9GiB}}
      secrets: {token: {generate: null}}
      configs: {settings: {file: ./queue.conf, template: true}}
      jobs: {migrate: {retries: 3}}
      services:
        worker:
          build: ./worker
          environment: {LANG: "${values.lang}", TOKEN: "${secrets.token}", MINE: "${secrets.mine}"}
          volumes: [data:/data, shared:/shared]
"""
    )
    assert used["volumes"]["a-data"] == {"size": "9GiB"}
    assert used["secrets"]["a-token"] == {}
    assert used["configs"]["a-settings"] == {"file": "queue.conf", "template": True}
    assert used["jobs"]["a-migrate"]["retries"] == 3
    worker = used["services"]["a-worker"]
    assert worker["build"] == "worker"
    assert "image" not in worker
    assert worker["environment"]["TOKEN"] == "${secrets.a-token}"
    assert worker["environment"]["MINE"] == "${secrets.mine}"
    assert worker["environment"]["QUEUE"] == "${work.url}"
    assert worker["volumes"] == ["a-data:/data", "shared:/shared"]


def test_parts_remove_what_comes_along() -> None:
    assert "a-worker" not in graph("services: {a: {use: acme/queue, parts: {services: {worker: null}}}}")["services"]
    own = graph("volumes: {a-data: {size: 2GiB}}\nservices: {a: {use: postgres, parts: {volumes: {data: null}}}}")
    assert own["volumes"] == {"a-data": {"size": "2GiB"}}


def test_no_component_of_a_folder_takes_the_place_of_the_own_one() -> None:
    assert "write acme/queue" in said(HEAD + "services: {a: {use: queue}}")
    assert service("services: {a: {use: postgres}}")["image"] == "docker.io/library/postgres:17"


# places


def test_a_problem_stands_where_its_text_does() -> None:
    text = (
        HEAD
        + "services:\n  api: {image: a, expose: {sql: {port: 1, as: postgres}}}\n"
        + "  a: {use: acme/tracker, connect: {store: api.sql}}\n"
    )
    with pytest.raises(GraphError) as refused:
        check(parse(text, "here/bundle.yaml"), Libraries(HERE, "here/bundle.yaml"))
    places = {problem.where for problem in refused.value.problems}
    assert places == {Position("here/components/tracker@2.1.yaml", 10, 47)}


def test_the_expanded_source_knows_every_place() -> None:
    text = HEAD + "services:\n  a: {use: acme/queue, volumes: [more:/more]}\nvolumes: {more: {}}\n"
    _, source = checked(parse(text, "bundle.yaml"), LIBRARIES)
    assert source.at(("services", "a", "volumes", 1)) == Position("components/queue@1.5.yaml", 12, 15)
    assert source.at(("services", "a", "volumes", 0)) == Position("bundle.yaml", 5, 34)
    assert source.at(("services", "a-worker"), key=True) == Position("components/queue@1.5.yaml", 18, 3)
    assert source.at(("volumes", "a-data", "size")) == Position("components/queue@1.5.yaml", 29, 24)


def test_a_graph_of_data_uses_components_too() -> None:
    source = document({"bundle": "a", "version": "1", "services": {"db": {"use": "postgres"}}})
    assert [one.name for one in check(source, LIBRARIES).services] == ["db"]


def test_thousands_of_uses_take_seconds() -> None:
    nodes = "".join(f"  n{i}: {{use: postgres}}\n" for i in range(3000))
    begun = time.process_time()
    assert len(check(parse(f"{HEAD}services:\n{nodes}", "f"), LIBRARIES).services) == 3000
    assert time.process_time() - begun < 30


# laws

_LISTS = st.lists(
    st.sampled_from(["more:/data", "more:/x", "more", "../x:/y", "${a.b}"])
    | st.integers()
    | st.dictionaries(st.just("a"), st.none(), max_size=1),
    max_size=3,
)
_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 99)
    | st.sampled_from(["a", "1GiB", "${secrets.token}", "${values.v}", "db.sql", "data"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["a", "data", "worker", "token", "http", "to", "condition", "use", "store", "logs"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    ["image", "build", "expose", "connect", "depends_on", "environment", "healthcheck", "resources", "outputs", *MOUNTS]
)
_OVER = st.dictionaries(_KEYS, _ANY | _LISTS, max_size=4)
_PARTS = st.dictionaries(
    st.sampled_from(["services", "jobs", "volumes", "configs", "secrets", "models", "needs"]), _ANY, max_size=3
)


@settings(max_examples=200, deadline=None)
@given(
    _OVER,
    _ANY | _PARTS,
    st.sampled_from(["acme/queue", "postgres", "tensorboard", "acme/tracker", "none", "bad/wrong"]),
    _ANY,
)
def test_whatever_is_laid_over_a_component_is_a_graph_or_has_problems(
    over: Any, parts: Any, use: str, volumes: Any
) -> None:
    data = {
        "bundle": "a", "version": "1", "libraries": {"acme": "./components", "bad": "./bad"}, "volumes": volumes,
        "services": {"a": {"parts": parts, **over, "use": use}, "db": {"use": "postgres"}},
    }  # fmt: skip
    try:
        found = check(document(data), LIBRARIES)
    except GraphError:
        return
    assert check(document(written(found))) == found


@settings(max_examples=100, deadline=None)
@given(st.from_regex(forms.LABEL, fullmatch=True).filter(lambda name: len(name) < 55 and name != "localhost"))
def test_under_any_name_a_component_says_the_same(name: str) -> None:
    used = graph(f'services: {{"{name}": {{use: postgres}}}}')
    text = (HERE / "own" / "postgres@17.yaml").read_text("utf-8")
    out = parse(text, "f").data
    assert isinstance(out, dict)
    by_hand = {
        "bundle": "shop", "version": "1.0",
        "services": {name: {
            **out["services"]["postgres"],
            "volumes": [f"{name}-data:/var/lib/postgresql/data"],
            "secrets": [f"{name}-password:/run/secrets/password"],
            "outputs": {"sql": {"user": "app", "database": "app", "password": f"${{secrets.{name}-password}}"}},
        }},
        "volumes": {f"{name}-data": out["volumes"]["data"]},
        "secrets": {f"{name}-password": out["secrets"]["password"]},
    }  # fmt: skip
    assert used == written(check(document(by_hand)))


def test_every_component_of_the_tool_is_without_mistakes() -> None:
    for entry in Library.own().entries:
        component = entry.read()
        assert mistakes(component, entry) == []
        _is_explained(component)


def _is_explained(component: Source) -> None:
    assert isinstance(component.data, dict)
    assert component.data.get("doc"), component.file
    assert f"use: {component.data['component']}" in component.data["doc"], component.file


def main() -> None:
    blocks = [f"=== {title}\n{text}--- says\n{said(text)}" for title, text, _ in cases()]
    MESSAGES.write_text("".join(blocks), "utf-8")


if __name__ == "__main__":
    main()
