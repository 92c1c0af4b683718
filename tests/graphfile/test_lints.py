"""Lints: what is right and yet no good is told once, where it can be mended; what may well be meant so is not."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from bundler.cli import linting
from bundler.cli.graph import graph_file, read_graphs
from bundler.cli.main import run
from bundler.graphfile import lints, variants
from bundler.graphfile.check import check
from bundler.graphfile.lints import RULES
from bundler.graphfile.removing import removed
from bundler.graphfile.source import parse

ROOT = Path(__file__).parents[2]
HEAD = 'bundle: shop\nversion: "1.0"\n'
WELL = "healthcheck: {http: /}"


def graph_in(folder: Path, text: str, **patches: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "bundle.yaml").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    for name, patch in patches.items():
        (folder / "variants").mkdir(exist_ok=True)
        head = f"variant: {name}\nof: shop\n"
        (folder / "variants" / f"{name}.yaml").write_text(head + textwrap.dedent(patch), encoding="utf-8")
    return folder


def told(folder: Path) -> list[str]:
    """`CODE message`, each with the text of the line that it is told at."""
    graphs = read_graphs(folder, variants.names(graph_file(folder).parent))
    lines = []
    for one in linting.found(folder, graphs):
        assert not isinstance(one.where, str)
        line = Path(one.where.file).read_text(encoding="utf-8").splitlines()[one.where.line - 1]
        lines.append(f"{one.code} {one.message} <- {line[one.where.column - 1 :].partition(':')[0]}")
    return lines


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


# opt-outs


@pytest.mark.parametrize(
    "line",
    [
        "data: {}  # noqa: B201",
        "data: {}  # they take turns # NOQA: B202, B201",
        "data: {} # noqa:B201 they take turns",
    ],
)
def test_an_opt_out_at_the_end_of_the_line_says_that_it_is_meant_so(line: str, tmp_path: Path) -> None:
    graph = f"""
    volumes:
      {line}
    services:
      a: {{image: a:1, volumes: [data:/data], user: "1"}}
      b: {{image: b:1, volumes: [data:/data], user: "{2 if "B202" in line else 1}"}}
    """
    assert told(graph_in(tmp_path, graph)) == []


def test_an_opt_out_is_for_its_own_line_and_codes(tmp_path: Path) -> None:
    text = "volumes:\n  a: {}  # noqa: B102\n  b: {}\n  # noqa: B101\n"
    assert [one.partition(" <- ")[0] for one in told(graph_in(tmp_path, text))] == [
        "B101 nothing mounts the volume a",
        "B001 noqa: B102 fits nothing on this line",
        "B101 nothing mounts the volume b",
        "B001 noqa: B101 fits nothing on this line",
    ]


def test_an_opt_out_of_no_lint_is_told(tmp_path: Path) -> None:
    text = "services:\n  a: {image: a:1}  # noqa: B999\n"
    assert told(graph_in(tmp_path, text)) == ["B001 there is no lint B999 <- # noqa"]


def test_what_looks_like_an_opt_out_within_a_text_is_none(tmp_path: Path) -> None:
    text = """
    services:
      a:
        image: a:1
        command:
          - |
            # noqa: B101
            x  # noqa: B101
          - "x # noqa: B101"
          - 'several
            lines # noqa: B101'
    """
    assert told(graph_in(tmp_path, text)) == []


def test_the_line_that_announces_a_text_takes_an_opt_out(tmp_path: Path) -> None:
    text = "services:\n  a:\n    image: a:1\n    environment:\n      PASSWORD: |  # noqa: B401\n        hunter2\n"
    assert told(graph_in(tmp_path, text)) == []


def test_other_tools_have_opt_outs_of_their_own(tmp_path: Path) -> None:
    assert told(graph_in(tmp_path, "services:\n  a: {image: a:1}  # noqa: E501\n  b: {image: b:1}  # noqa\n")) == []


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


# taking out


@pytest.mark.parametrize(
    ("text", "new"),
    [
        pytest.param("a: b\nvolumes:\n  x: {}\n  y: {}\n", "a: b\nvolumes:\n  y: {}\n", id="the first"),
        pytest.param("volumes:\n  y: {}\n  x: {} # gone\na: b\n", "volumes:\n  y: {}\na: b\n", id="the last"),
        pytest.param("a: b\n\nvolumes:\n  x: {}\n\nc: d\n", "a: b\n\nc: d\n", id="the only one"),
        pytest.param("a: b\nvolumes:\n  x: {}", "a: b\n", id="no end of line"),
        pytest.param("a: b\n\nvolumes:\n  x: {}\n", "a: b\n", id="the end of the file"),
        pytest.param("a: |+\n  b\n\nvolumes:\n  x: {}\n", None, id="an empty line of the text above"),
        pytest.param("volumes:\n  x:\n    size: 1\n    b:\n      - c\n  y:\n", "volumes:\n  y:\n", id="several lines"),
        pytest.param("volumes:\n  x: {\n    a: b\n  }\n  y: {}\n", "volumes:\n  y: {}\n", id="braces over lines"),
        pytest.param("volumes:\n  x: |\n    a\n\n  y: {}\n", "volumes:\n  y: {}\n", id="a text in several lines"),
        pytest.param(
            "volumes:\n  # of x\n  x: {}\n\n  y: {}\n", "volumes:\n  # of x\n\n  y: {}\n", id="a comment stays"
        ),
        pytest.param("volumes:\r\n  x: {}\r\n  y: {}\r\n", "volumes:\r\n  y: {}\r\n", id="lines of Windows"),
        pytest.param("\ufeffvolumes:\n  x: {}\n  y: {}\n", "\ufeffvolumes:\n  y: {}\n", id="a byte order mark"),
        pytest.param("volumes: {x: {}, y: {}}\n", None, id="braces"),
        pytest.param("volumes:\n  {x: {},\n  y: {}}\n", None, id="braces below"),
        pytest.param("volumes:\n  y: {}\n", None, id="not there"),
    ],
)
def test_a_node_is_taken_out_of_the_text_and_nothing_else_is(text: str, new: str | None) -> None:
    assert removed(text, "f", "volumes", "x") == new


def test_fix_takes_out_what_nothing_uses_and_what_only_that_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    values:
      kept: {default: 1}
      gone: {default: 2}  # only the config reads it

    configs:
      c:
        content: |
          ${values.gone}

    services:
      a: {image: acme/a, command: ["${values.kept}"]}
    """
    folder = graph_in(tmp_path, text)
    assert run(["check", str(folder), "--fix"]) == 0
    shown = capsys.readouterr()
    assert "-  gone: {default: 2}  # only the config reads it\n" in shown.out
    assert "B402" in shown.err
    assert (folder / "bundle.yaml").read_text(encoding="utf-8") == HEAD + textwrap.dedent("""
    values:
      kept: {default: 1}

    services:
      a: {image: acme/a, command: ["${values.kept}"]}
    """)


def test_fix_leaves_what_is_meant_so_and_what_a_variant_names(tmp_path: Path) -> None:
    text = "volumes:\n  a: {}  # noqa: B101\n  b: {}\nservices: {api: {image: a:1}}\n"
    folder = graph_in(tmp_path, text, acme="volumes: {b: null}\n")
    before = (folder / "bundle.yaml").read_bytes()
    assert run(["check", str(folder), "--fix"]) == 0
    assert (folder / "bundle.yaml").read_bytes() == before


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
