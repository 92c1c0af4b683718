"""bundle init: a graph that works, to begin with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bundler.cli.graph import read_graphs
from bundler.cli.init import TEMPLATES
from bundler.cli.main import run
from bundler.model.graph import PythonBuild

NAMES = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_the_templates() -> None:
    assert NAMES == ["empty", "nlp", "train", "web"]


@pytest.mark.parametrize("template", NAMES)
def test_each_template_is_right_as_it_is_written(template: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "Our Shop", "--template", template]) == 0
    written = capsys.readouterr().out.splitlines()
    folder = here / "Our Shop"
    assert sorted(written) == sorted(f"Our Shop/{p.relative_to(folder)}" for p in folder.rglob("*") if p.is_file())
    assert {"Our Shop/bundle.yaml", "Our Shop/README.md", "Our Shop/.gitignore"} <= set(written)
    assert run(["check", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("our-shop 0.1.0 is valid")
    assert "my-system" not in "".join(p.read_text() for p in folder.rglob("*") if p.is_file())
    assert 5 <= len((folder / "README.md").read_text().splitlines()) <= 12


@pytest.mark.parametrize("template", [name for name in NAMES if name != "empty"])
def test_each_has_a_program_of_its_own_and_a_component(template: str) -> None:
    text = (TEMPLATES / template / "bundle.yaml").read_text()
    graph = read_graphs(TEMPLATES / template, ()).union.graph
    assert "use: " in text
    assert graph.doors
    built = [node for node in (*graph.services, *graph.jobs) if node.build is not None]
    assert built
    for node in built:
        assert isinstance(node.build, PythonBuild)  # that its lock is whole, `check` has said
        assert node.command is not None
        program = TEMPLATES / template / node.build.project / node.command[1]
        assert node.command[0] == f"python{node.build.version}"
        ast.parse(program.read_text(), program.name)


def test_nobody_needs_a_dockerfile() -> None:
    assert not list(TEMPLATES.rglob("Dockerfile"))


@pytest.mark.parametrize("template", NAMES)
def test_a_site_file_and_a_component_more_are_two_commands(template: str, here: Path) -> None:
    assert run(["init", ".", "--template", template]) == 0
    assert run(["add", "tensorboard", "--as", "board", "--connect", "logs=logs"]) == 0
    assert run(["site", "init"]) == 0
    assert run(["check"]) == 0


def test_nothing_is_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "README.md").write_text("mine")
    (here / "page").mkdir()
    (here / "page" / "page.py").symlink_to("nowhere")
    assert run(["init"]) == 2
    assert ". has page/page.py already; nothing was written" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["README.md", "page"]
    (here / "page" / "page.py").unlink()
    (here / "page").rmdir()
    for dangling in (False, True):
        (here / "page").symlink_to("nowhere") if dangling else (here / "page").touch()
        assert run(["init"]) == 2
        assert ". has page already; nothing was written" in capsys.readouterr().err
        assert sorted(path.name for path in here.iterdir()) == ["README.md", "page"]
        (here / "page").unlink()
    assert run(["init", "README.md"]) == 2
    assert run(["init", "README.md/below"]) == 2
    assert run(["init", "--template", "webb", "new"]) == 2
    assert not (here / "new").exists()


def test_a_project_that_is_there_keeps_what_it_says_of_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "README.md").write_text("mine")
    (here / ".gitignore").symlink_to("nowhere")
    (here / "main.py").write_text("")
    assert run(["init"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["bundle.yaml", "page/page.py", "page/requirements.txt"]
    assert "  kept as it was: README.md, .gitignore\n" in said.err
    assert ((here / "README.md").read_text(), (here / ".gitignore").readlink()) == ("mine", Path("nowhere"))
    assert run(["check"]) == 0
    assert run(["init"]) == 2
    assert ". has bundle.yaml, page/page.py, page/requirements.txt already" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["/", "/.", "/tmp/.."])
def test_the_root_of_all_directories_is_no_place_for_a_graph(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", place]) == 2
    assert "a graph wants a directory of its own: bundle init NAME" in capsys.readouterr().err
    assert not Path("/bundle.yaml").exists()


def test_a_directory_that_cannot_name_a_graph(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "2026"]) == 0
    assert run(["check", "2026"]) == 0
    said = capsys.readouterr()
    assert "  called my-system, as a graph's name begins with a letter" in said.err
    assert "my-system 0.1.0 is valid" in said.out
    assert run(["init", "here"]) == 0
    assert "called" not in capsys.readouterr().err


def test_what_to_do_next_can_be_typed_as_it_stands(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--", "Ünsere Welt"]) == 0
    assert "  bundle check 'Ünsere Welt'  " in capsys.readouterr().err
    assert run(["init", "--", "-x"]) == 0
    assert "  bundle check ./-x  " in capsys.readouterr().err


def test_a_graph_is_named_without_accents(here: Path) -> None:
    assert run(["init", "Café Zürich"]) == 0
    assert "bundle: cafe-zurich\n" in (here / "Café Zürich" / "bundle.yaml").read_text()


def test_what_to_do_with_an_empty_graph_is_a_line_each(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "shop", "--template", "empty"]) == 0
    _, *told = capsys.readouterr().err.splitlines()
    assert [line.strip().split("  ")[0] for line in told] == ["bundle add postgres shop", "bundle explain"]
    assert len({line.index(line.strip().split("  ")[-1].strip()) for line in told}) == 1, (
        "what they are for, below each other"
    )
