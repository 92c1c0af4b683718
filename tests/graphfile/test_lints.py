"""Lints: what is right and yet no good is told once, where it can be mended; what may well be meant so is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from linted import graph_in, told

from bundler.cli import linting
from bundler.cli.graph import read_graphs
from bundler.cli.main import run
from bundler.graphfile import lints, variants
from bundler.graphfile.check import check
from bundler.graphfile.lints import RULES
from bundler.graphfile.source import parse

ROOT = Path(__file__).parents[2]
WELL = "healthcheck: {http: /}"


@pytest.mark.parametrize(
    ("text", "lint"),
    [
        pytest.param("volumes: {runs: {}}", "B101 nothing mounts the volume runs <- runs", id="volume"),
        pytest.param("configs: {a: {content: x}}", "B102 nothing mounts the config a <- a", id="config"),
        pytest.param("secrets: {key: {}}", "B103 nothing mounts or reads the secret key <- key", id="secret"),
        pytest.param(
            "models: {m: {from: ./m}}", "B104 nothing mounts the model m, and it would be packed <- m", id="model"
        ),
        pytest.param("values: {n: {default: 1}}", "B105 nothing reads the value n <- n", id="value"),
        pytest.param(
            "externals: {mail: {as: smtp}}", "B106 nothing connects to the external mail <- mail", id="external"
        ),
        pytest.param(
            "services: {a: {image: a:1, expose: {http: 80}}}", "B107 nothing reaches the service a <- a", id="reach"
        ),
        pytest.param(
            """
            volumes: {data: {}}
            services:
              a: {image: a:1, volumes: [data:/data]}
              b: {image: b:1, volumes: [data:/data]}
            """,
            "B201 a and b both write the volume data <- data",
            id="two writers",
        ),
        pytest.param(
            """
            volumes: {data: {}}
            services:
              a: {image: a:1, volumes: [data:/data], scale: {min: 1, max: 4}}
            """,
            "B201 each instance of a writes the volume data <- data",
            id="several instances",
        ),
        pytest.param(
            """
            volumes: {data: {}}
            jobs:
              a: {image: a:1, volumes: [data:/data], workers: 4}
            """,
            "B201 each instance of a writes the volume data <- data",
            id="workers",
        ),
        pytest.param(
            """
            volumes: {data: {}}
            services: {a: {image: a:1, volumes: [data:/data], user: "1000:1000"}}
            jobs: {b: {image: b:1, volumes: [data:/data], user: "1001"}}
            """,
            "B202 different users write the volume data: a as 1000, b as 1001 <- data",
            id="users",
        ),
        pytest.param(
            """
            services:
              a: {image: a:1, expose: {http: 80}}
              b: {image: b:1, connect: {a: a.http}}
            """,
            "B301 b starts as soon as a runs, ready or not: it has no health check <- a",
            id="waited for",
        ),
        pytest.param(
            """
            services: {a: {image: a:1, expose: {http: 80}}}
            publish: {front: a.http}
            """,
            "B302 the front door front opens before a is ready: it has no health check <- a",
            id="published",
        ),
        pytest.param(
            "services: {a: {image: a:1, environment: {DB_PASSWORD: hunter2}}}",
            "B401 the secret of DB_PASSWORD is in plain sight, in the bundle too <- DB_PASSWORD",
            id="password",
        ),
        pytest.param(
            "services: {a: {image: a:1, environment: {URL: 'postgres://me:hunter2@db/x'}}}",
            "B401 a password in URL is in plain sight, in the bundle too <- URL",
            id="password in an address",
        ),
        pytest.param(
            f"""
            services:
              a:
                image: a:1
                expose: {{sql: {{port: 5432, as: postgres}}}}
                outputs: {{sql: {{user: me, password: hunter2, database: x}}}}
                {WELL}
              b: {{image: b:1, connect: {{a: a.sql}}}}
            """,
            "B401 the password of a.sql is in plain sight, in the bundle too <- password",
            id="password in an output",
        ),
        pytest.param(
            "services: {a: {image: acme/a}}",
            "B402 the image acme/a has no tag: the next build may pack another <- image",
            id="no tag",
        ),
        pytest.param(
            "services: {a: {image: 'h:5000/acme/a:latest'}}",
            "B402 the image h:5000/acme/a:latest is whatever is the latest: the next build may pack another <- image",
            id="latest",
        ),
        pytest.param(
            "services: {a: {image: a:1, resources: {cpus: 2}}}",
            "B403 the resources of a do not bound its memory <- resources",
            id="memory",
        ),
    ],
)
def test_each_is_told_once_at_the_key_where_it_is_mended(text: str, lint: str, tmp_path: Path) -> None:
    assert told(graph_in(tmp_path, text)) == [lint]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("services: {a: {image: a:1}}", id="a service that listens to nobody"),
        pytest.param(
            "externals: {q: {as: amqp}}\nservices: {a: {image: a:1, expose: {metrics: 80}, connect: {q: q}}}",
            id="a worker that listens",
        ),
        pytest.param(
            """
            volumes: {data: {}}
            services: {a: {image: a:1, expose: {metrics: 80}, volumes: [data:/data]}}
            jobs: {b: {image: b:1, volumes: [data:/data:ro]}}
            """,
            id="what writes for others",
        ),
        pytest.param(
            "services: {a: {image: a:1, expose: {x: 80}}}\njobs: {b: {image: b:1, depends_on: [a]}}", id="waited for"
        ),
        pytest.param(
            """
            volumes: {data: {}}
            services:
              a: {image: a:1, volumes: [data:/data]}
              b: {image: b:1, volumes: [data:/data:ro], user: "7", scale: {min: 1, max: 3}}
            jobs:
              c: {image: c:1, volumes: [data:/data]}
            """,
            id="readers, and a job before",
        ),
        pytest.param(
            """
            services:
              a: {image: a:1, expose: {http: 80}}
              b: {image: b:1, connect: {a: {to: a.http, wait: false}}}
            """,
            id="nobody waits",
        ),
        pytest.param(
            """
            secrets: {key: {}}
            values: {n: {default: 1}}
            services:
              a:
                image: a@sha256:%s
                environment: {A_PASSWORD: "${secrets.key}", B_TOKEN_FILE: /run/x, USE_AUTH: "true", MAX_TOKENS: "9000"}
                command: ["${values.n}"]
              b: {image: "oci:./b", environment: {NO_PASSWORD: "", URL: "postgres://me:${secrets.key}@db"}}
            """
            % ("0" * 64),
            id="names of secrets, digests, images on disk",
        ),
        pytest.param(
            """
            values: {n: {default: 1}}
            secrets: {key: {}}
            configs: {c: {file: ./c, template: true}}
            services: {a: {image: a:1, configs: [c:/c]}}
            """,
            id="a template may read anything",
        ),
        pytest.param(
            """
            values: {n: {default: 1}, m: {default: 1}}
            configs: {c: {content: "${values.n}"}}
            services: {a: {image: a:1, configs: [c:/c]}}
            jobs: {b: {image: b:1, workers: "${values.m}"}}
            """,
            id="read in a config and by workers",
        ),
    ],
)
def test_what_may_well_be_meant_so_is_not_told(text: str, tmp_path: Path) -> None:
    assert told(graph_in(tmp_path, text)) == []


def test_what_reads_literally_reads_nothing(tmp_path: Path) -> None:
    text = 'values: {n: {default: 1}}\nservices: {a: {image: a:1, command: ["$${values.n}"]}}'
    assert told(graph_in(tmp_path, text)) == ["B105 nothing reads the value n <- n"]


def test_no_message_holds_a_secret(tmp_path: Path) -> None:
    graph_in(tmp_path, "services: {a: {image: a:1, environment: {PASSWORD: hunter2, URL: 'x://me:hunter2@y'}}}")
    graphs = read_graphs(tmp_path, ())
    assert not any("hunter2" in one.message + one.hint for one in linting.found(tmp_path, graphs))


# variants and components


def test_those_of_a_variant_are_told_where_the_graph_has_none(tmp_path: Path) -> None:
    graph = "volumes: {a: {}}\nservices:\n  api: {image: api}\n"
    folder = graph_in(
        tmp_path, graph, acme="services: {api: {resources: {cpus: 1}}}", other="services: {api: {image: x}}"
    )
    assert told(folder) == [
        "B101 nothing mounts the volume a <- a",
        "B402 the image api has no tag: the next build may pack another <- image",
        "B403 the resources of api do not bound its memory (in the variant acme) <- resources",
    ]


def test_what_one_variant_uses_is_used(tmp_path: Path) -> None:
    graph = "volumes: {a: {}, b: {}}\nservices:\n  api: {image: api:1, volumes: [b:/b]}\n"
    folder = graph_in(tmp_path, graph, acme="services: {api: {volumes: [a:/a]}}", other="services: {api: null}")
    assert told(folder) == []


def test_an_opt_out_in_a_variant_holds_there(tmp_path: Path) -> None:
    patch = "services:\n  more:\n    image: more  # noqa: B402\n"
    assert told(graph_in(tmp_path, "services: {api: {image: api:1}}\n", acme=patch)) == []


def test_what_a_component_says_is_its_authors(tmp_path: Path) -> None:
    folder = graph_in(tmp_path, "libraries: {own: ./own}\nservices: {a: {use: own/a}}\n")
    (folder / "own").mkdir()
    component = 'component: a\nversion: "1"\nsummary: A\nservices: {a: {image: a, resources: {cpus: 1}}}\n'
    (folder / "own" / "a@1.yaml").write_text(component, encoding="utf-8")
    assert told(folder) == []


# laws


def _graphs() -> list[Path]:
    folders = [ROOT / "bundler" / "templates", ROOT / "fixtures"]
    found = [path for folder in folders for path in sorted(folder.glob("*/bundle.yaml"))]
    return [path for path in found if "broken" not in path.parts] + [ROOT / "fixtures" / "pictures" / "large.yaml"]


@pytest.mark.parametrize("path", _graphs(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_our_own_graphs_and_components_have_none(path: Path) -> None:
    assert told(path) == []
    found = read_graphs(path, variants.names(path.parent))
    for variant, graph in found.union.graphs.items():
        of_components = [
            one for one in lints.lints(graph, found.sources[variant]) if str(one.where).startswith("library/")
        ]
        assert of_components == []


def test_the_graph_of_the_readme_has_none() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    source = parse(text, "README.md")
    assert lints.lints(check(source), source) == ()


# the command


def test_lints_fail_nothing_unless_it_is_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(graph_in(tmp_path, "volumes:\n  a: {}\n"))
    assert run(["check", folder]) == 0
    shown = capsys.readouterr()
    assert "B101" not in shown.out
    assert f"{folder}/bundle.yaml:4:3: B101 nothing mounts the volume a\n    take it out" in shown.err
    assert run(["check", folder, "--strict"]) == 3
    capsys.readouterr()
    assert run(["check", folder, "--json", "--strict"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is True
    assert answer["lints"] == [
        {
            "file": f"{folder}/bundle.yaml",
            "line": 4,
            "column": 3,
            "code": "B101",
            "message": "nothing mounts the volume a",
            "hint": "take it out, or use it: volumes: [a:/path]",
            "variant": None,
        }
    ]
    assert run(["check", str(ROOT / "fixtures" / "small"), "--strict"]) == 0


def test_every_lint_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(RULES) == sorted(RULES)
    assert run(["explain", "lints"]) == 0
    page = capsys.readouterr().out
    assert all(f"  {code}  " in page for code in RULES)
    assert run(["explain", "B201"]) == 0
    assert "several services write" in capsys.readouterr().out
    assert run(["explain", "lints.B999"]) == 2
