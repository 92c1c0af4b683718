"""Answers to lints: opt-outs in the file, and what --fix takes out of it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from linted import HEAD, graph_in, told

from bundler.cli.main import run
from bundler.graphfile.removing import removed

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
        pytest.param("volumes: {x: {}, y: {}}\n", "volumes: {y: {}}\n", id="the first in braces"),
        pytest.param("volumes: {y: {}, x: {a: [b, c]} , z: }\n", "volumes: {y: {}, z: }\n", id="amid braces"),
        pytest.param("volumes: {y: 'ü', x: {} }\n", "volumes: {y: 'ü' }\n", id="the last in braces"),
        pytest.param("volumes: {x: {}}\na: b\n", "a: b\n", id="the only one in braces"),
        pytest.param("volumes:\n  {x: {},\n  y: {}}\n", "volumes:\n  {\n  y: {}}\n", id="braces below"),
        pytest.param("volumes: {y: {}, x: {\n  a: b}}\n", None, id="lines within braces"),
        pytest.param("a: {b: c, volumes: {x: {}}}\n", None, id="a section of another"),
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


def test_fix_leaves_what_is_meant_so_and_what_a_variant_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "volumes:\n  a: {}  # noqa: B101\n  b: {}\nservices: {api: {image: a:1}}\n"
    folder = graph_in(tmp_path, text, acme="volumes: {b: null}\n")
    before = (folder / "bundle.yaml").read_bytes()
    assert run(["check", str(folder), "--fix"]) == 0
    assert "not taken out: volumes.b; " in capsys.readouterr().err
    assert (folder / "bundle.yaml").read_bytes() == before
