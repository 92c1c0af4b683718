"""`build: {python: ./app}`: what is said of a project before anything is packed, and what its lock means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.collect import presence, requirements
from bundler.collect.paths import SourceTree
from bundler.collect.requirements import Lock
from bundler.edges import pip
from bundler.errors import SourceError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.model.graph import Graph, PythonBuild
from tests.python_project import AMD64, ARM64, wheel, write


def graph_of(build: str, more: str = "") -> Graph:
    return check(parse(f"bundle: x\nversion: 1.0.0\nservices: {{a: {{build: {build}{more}}}}}\n", "bundle.yaml"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{python: ./app}", PythonBuild("app", "python:3.13-slim", "3.13")),
        ('{python: ./app, version: "3.12"}', PythonBuild("app", "python:3.12-slim", "3.12")),
        ("{python: app, base: acme/python:3.11.4}", PythonBuild("app", "acme/python:3.11.4", "3.11")),
        (
            '{python: ., base: "docker-archive:./b.tar", version: "3.11"}',
            PythonBuild(".", "docker-archive:./b.tar", "3.11"),
        ),
    ],
)
def test_base_and_version_follow_from_each_other(written: str, read: PythonBuild) -> None:
    assert graph_of(written).services[0].build == read


def problems(folder: Path, files: dict[str, str], more: str = "") -> list[str]:
    write(folder, {"app/x.txt": "", **files})
    text = f"bundle: x\nversion: 1.0.0\nservices: {{a: {{build: {{python: ./app}}{more}}}}}\n"
    source = parse(text, "bundle.yaml")
    found = presence.problems(check(source), source, SourceTree(folder.resolve()))
    return [f"{problem.message} | {problem.hint}" for problem in found]


LOCK = "write NAME==VERSION for every package, as uv does (pip install uv), in the project's folder:\n"
COMPILE = "uv pip compile --universal --generate-hashes --python-version 3.13"
ELSE = "\nor pip freeze in a fresh venv"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {},
            "app holds no pyproject.toml and no requirements.txt"
            " | an empty requirements.txt says that it needs no package",
        ),
        (
            {"app/requirements.txt": "flask\nhttpx >= 0.28 # web\nsix==1.17.0\n"},
            f"requirements.txt does not pin flask, httpx >= 0.28 | {LOCK}mv requirements.txt requirements.in && "
            f"{COMPILE} requirements.in -o requirements.txt{ELSE}",
        ),
        (
            {"app/requirements.txt": "flask\n", "app/requirements.in": "flask\n"},
            f"requirements.txt does not pin flask | {LOCK}{COMPILE} requirements.in -o requirements.txt{ELSE}",
        ),
        (
            {"app/requirements.txt": "gunicorn\n", "app/pyproject.toml": '[project]\ndependencies=["flask"]\n'},
            f"requirements.txt does not pin gunicorn | {LOCK}mv requirements.txt requirements.in && "
            f"{COMPILE} pyproject.toml requirements.in -o requirements.txt",
        ),
        (
            {"app/requirements.in": "flask\n"},
            "there is no requirements.txt that pins what requirements.in needs"
            f" | {LOCK}{COMPILE} requirements.in -o requirements.txt{ELSE}",
        ),
        (
            {"app/requirements.in": "flask\n", "app/pyproject.toml": "[project.scripts]\na = 'b:c'\n"},
            "there is no requirements.txt that pins what requirements.in needs"
            f" | {LOCK}{COMPILE} requirements.in -o requirements.txt{ELSE}",
        ),
        (
            {"app/pyproject.toml": '[project]\nname="a"\ndependencies=["flask"]\n'},
            "there is no requirements.txt that pins what pyproject.toml needs"
            f" | {LOCK}{COMPILE} pyproject.toml -o requirements.txt",
        ),
        (
            {"app/pyproject.toml": '[project]\nname="a"\ndependencies=["flask"]\n', "app/uv.lock": ""},
            "there is no requirements.txt that pins what pyproject.toml needs"
            " | uv export --no-dev --no-emit-project -o requirements.txt",
        ),
        (
            {"app/requirements.txt": "a @ https://example.com/a.tar.gz\n"},
            "requirements.txt takes a from https://example.com/a.tar.gz, and only wheels of an index are unpacked"
            " | put its wheel into the project's folder wheels and write NAME==VERSION, or write a Dockerfile",
        ),
        (
            {"app/pyproject.toml": "[tool.poetry.dependencies]\nflask = '*'\n", "app/poetry.lock": ""},
            "there is no requirements.txt that pins what pyproject.toml needs"
            " | poetry self add poetry-plugin-export && poetry export -o requirements.txt",
        ),
        (
            {"app/pyproject.toml": '[project]\nname="a"\ndynamic=["dependencies"]\n'},
            "there is no requirements.txt that pins what pyproject.toml needs"
            f" | {LOCK}{COMPILE} pyproject.toml -o requirements.txt",
        ),
        (
            {"app/requirements.txt": "--index-url https://me:secret@example.com/simple\na==1\n"},
            "requirements.txt names an index with credentials, and is packed"
            " | give them to pip alone: pip config set global.index-url URL, or ~/.netrc",
        ),
        (
            {"app/requirements.txt": "-r more.txt\n"},
            "requirements.txt has the line -r more.txt"
            " | it holds NAME==VERSION lines, --hash, --index-url and --extra-index-url alone",
        ),
        (
            {"app/requirements.txt": ""},
            "nothing says what runs: no script in pyproject.toml, and not one package with a __main__.py"
            " | write command: [python3.13, main.py] beside build, or [project.scripts] there",
        ),
        (
            {"app/pyproject.toml": "[project\n"},
            "pyproject.toml is no TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"
            " | mend it there",
        ),
        (
            {"app/pyproject.toml": '[project]\nrequires-python = ">=3.9,<3.13"\n'},
            "pyproject.toml requires Python >=3.9,<3.13, and the image has 3.13"
            ' | write build: {python: FOLDER, version: "3.…"}, or mend requires-python',
        ),
        (
            {"app/pyproject.toml": '[project]\ndependencies = "flask"\n'},
            'dependencies of pyproject.toml is no list of requirements | write dependencies = ["NAME>=VERSION"]',
        ),
        (
            {"app/pyproject.toml": '[project]\nrequires-python = "3"\n'},
            'requires-python of pyproject.toml is 3 | write it like ">=3.11"',
        ),
        (
            {"app/pyproject.toml": "[project]\nrequires-python = 3.13\n"},
            'requires-python of pyproject.toml is 3.13 | write it like ">=3.11"',
        ),
        (
            {"app/pyproject.toml": '[project.scripts]\na = "rm -rf"\n'},
            "the script a of pyproject.toml is no entry point | write NAME = 'module:function'",
        ),
    ],
)
def test_check_says_what_a_project_lacks(tmp_path: Path, files: dict[str, str], said: str) -> None:
    assert problems(tmp_path, files) == [f"build of a: {said}"]


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ({"app/requirements.txt": ""}, ", command: [python3.13, x.py]"),
        ({"app/requirements.txt": "", "app/tool/__main__.py": ""}, ""),
        ({"app/pyproject.toml": "", "app/src/tool/__main__.py": "", "app/other/__main__.py": ""}, ""),
        ({"app/pyproject.toml": '[project]\nrequires-python = "==3.13.5"\n[project.scripts]\na = "b.c:d.e"\n'}, ""),
        (
            {
                "app/requirements.txt": "-e .\n-i https://example.com/simple\nA_b[c]==1.0 ; sys_platform == 'x'\n",
                "app/a/__main__.py": "",
            },
            "",
        ),
    ],
)
def test_a_project_that_says_what_runs_is_well(tmp_path: Path, files: dict[str, str], more: str) -> None:
    assert problems(tmp_path, files, more) == []


def lock(text: str) -> Lock:
    return requirements.parse(text, "x", "")


def test_markers_are_those_of_the_image_and_not_of_this_machine() -> None:
    found = lock(
        "a==1 ; platform_machine == 'aarch64'\nb==1 ; sys_platform == 'win32'\nc==1 ; python_version < '3.10'\n"
    )
    assert found.text(ARM64, "3.13", "x") == "a==1\n"
    assert found.text(AMD64, "3.9", "x") == "c==1\n"
    assert found.text(AMD64, "3.13", "x") == ""


def test_a_marker_that_means_nothing_is_told_of() -> None:
    for marker in ("os_name ~= 'posix'", "'x' in extras"):
        with pytest.raises(SourceError, match=r"^x: the marker .* means nothing for an image"):
            lock(f"a==1 ; {marker}\n").on(AMD64, "3.13", "x")


def test_extras_are_followed_to_what_they_need() -> None:
    pins = lock("web[fast]==1\nspeed==2\n").pins
    wants = {"web": ["speed>=1; extra == 'fast'", "slow; extra == 'slow'"], "speed": ["engine[big]>3; extra == 'x'"]}
    closed: Callable[..., None] = requirements.require_closed
    closed(pins, wants, ["web[fast]"], AMD64, "3.13", "x", "")
    with pytest.raises(SourceError, match=r"does not pin slow \(which web needs\)"):
        closed(pins, wants, ["web[slow]"], AMD64, "3.13", "x", "")
    with pytest.raises(SourceError, match=r"does not pin speed>=3 \(which pyproject.toml needs\)"):
        closed(pins, wants, ["speed>=3"], AMD64, "3.13", "x", "")


def test_an_index_that_is_not_reached_is_not_one_without_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    write(tmp_path, {"r.txt": "a==1\n"})
    with pytest.raises(SourceError, match="x: pip does not reach its index"):
        pip.download(
            tmp_path / "r.txt",
            tmp_path,
            machines=["manylinux2014_x86_64"],
            version="3.13",
            wheels=None,
            what="x",
            where="here",
        )


def test_wheels_of_the_project_are_taken_from_it_alone_whatever_pip_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = wheel(tmp_path / "elsewhere", tmp_path / "tiny")
    write(tmp_path, {"r.txt": "tiny-greeting==2.0\n", "pip.conf": f"[global]\nfind-links = {tiny.parent}\n"})
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tiny.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))

    def download(wheels: Path) -> None:
        machines = ["manylinux2014_x86_64"]
        lock = tmp_path / "r.txt"
        pip.download(lock, tmp_path, machines=machines, version="3.13", wheels=wheels, what="x", where="here")

    with pytest.raises(SourceError, match=r"x: the project's folder wheels has no tiny-greeting 2\.0"):
        download(tmp_path / "wheels")
    download(tiny.parent)
    assert (tmp_path / tiny.name).is_file()
