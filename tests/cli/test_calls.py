"""A call that cannot be done: its exit status, what is said, and the command that is proposed."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from bundler.cli.main import run
from bundler.cli.options import same_place, where

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["chek"], 2, "Did you mean 'check'?"),
        (["check", "/dev/null"], 2, "/dev/null is no regular file"),
        (["check", "/nowhere"], 2, "there is no graph at /nowhere"),
        (["verify", "/nowhere.tar"], 2, "there is no file /nowhere.tar"),
        (["verify", "/etc/passwd"], 5, "/etc/passwd: neither a bundle nor a library"),
        (["deploy", "GRAPH"], 2, "GRAPH is a graph, not a bundle\n  to build and deploy it: bundle up GRAPH;"),
        (["plan", "GRAPH"], 2, "to see what that would do: bundle up GRAPH --dry-run;"),
        (["deploy", "FILE", "--dry-run"], 2, "\n  to see what it would do: bundle plan\n"),
        (["deploy", "FILE", "--drain"], 2, "\n  bundle deploy --help\n"),
        (["verify", "GRAPH/bundle.yaml"], 2, "GRAPH/bundle.yaml is a graph, not a bundle"),
        (["inspect", "GRAPH/layout"], 2, "GRAPH/layout is a directory, not a bundle"),
        (["deploy", "FILE"], 2, "no target named"),
        (["deploy", "FILE", "--target", "dokcer"], 2, "did you mean 'docker'?"),
        (["deploy", "FILE", "--target", "docker", "--timeout", "soon"], 2, "--timeout soon: not a duration"),
        (["logs", "app", "-t", "docker", "--since", "yesterday"], 2, "how long ago: 10m"),
        (["logs", "app", "-t", "docker", "--since", ""], 2, "neither a time nor a duration"),
        (["logs", "app", "-t", "docker", "--since", "1795489200"], 2, "neither a time nor a duration"),
        (["logs", "app", "-t", "docker", "--since", "9999-12-31T23:59:59-23:59"], 2, "neither a time nor a duration"),
        (["build", "GRAPH", "--platform", "linux"], 2, "not a platform: 'linux'"),
        (["build", "GRAPH", "--platform", "linux/arm64"], 4, "arm64"),
        (["build", "GRAPH", "--platform", "linux/x86"], 2, "no architecture is called 'x86'\n  --platform linux/amd64"),
        (["build", "GRAPH", "--platform", "linux/sparc"], 2, "there are: 386, amd64, arm, arm64"),
        (["build", "GRAPH", "--mirror", "docker.io"], 2, "--mirror docker.io: it is written REGISTRY=HOST/PATH"),
        (["up", "GRAPH", "--mirror", "docker.io=mirror"], 2, "begins with a host: 'mirror'"),
        (
            ["build", "GRAPH", "--mirror", "docker.io=a.example", "--mirror", "index.docker.io=b.example/x"],
            2,
            "--mirror: docker.io has two, a.example and b.example/x",
        ),
        (["keys", "trust", "FILE"], 5, "FILE: not a public key in PEM\n  bundle keys export"),
        (["import", "compse"], 2, "Did you mean 'compose'?"),
    ],
)
def test_a_wrong_call_says_what_and_how(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    capsys.readouterr()

    def named(text: str) -> str:
        return text.replace("FILE", str(bundle)).replace("GRAPH", str(home / "graph"))

    assert run([named(one) for one in arguments]) == status
    assert named(said) in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        *(["init", "PLACE"], ["check", "PLACE"], ["build", "PLACE"], ["build", "GRAPH", "-o", "PLACE"]),
        *(["import", "compose", "PLACE"], ["verify", "PLACE"], ["diff", "GRAPH", "PLACE"], ["init", "PLACE/below"]),
        *(["graph", "GRAPH", "-o", "PLACE.svg"], ["site", "init", "FILE", "-o", "PLACE"]),
        ["plan", "FILE", "--target", "docker", "--site", "PLACE"],
    ],
)
@pytest.mark.parametrize("place", ["a" * 300, "loop"])
def test_a_path_that_is_too_long_or_leads_to_itself_is_no_defect(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], place: str
) -> None:
    for name in ("loop", "loop.svg"):
        (home / name).symlink_to(name)
    named = {"PLACE": str(home / place), "GRAPH": str(home / "graph"), "FILE": str(bundle)}
    words = [named.get(one, one.replace("PLACE", named["PLACE"])) for one in arguments]
    capsys.readouterr()
    done, said = run(words), capsys.readouterr().err
    if done == 0:  # a link is written over
        assert (place, words[-2]) == ("loop", "-o")
        assert not (home / Path(words[-1]).name).is_symlink()
        return
    assert done == 2
    assert place in said
    assert "defect" not in said


def test_an_engine_that_is_not_there_is_a_target_error(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    for arguments in (["list", "-t", "docker"], ["deploy", str(bundle), "-t", "compose"]):
        assert run(arguments) == 6
        said = "no Docker engine answers at unix:///nowhere.sock: No such file or directory\n"
        assert said in capsys.readouterr().err


def test_without_a_home_directory_the_variable_to_set_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr("pwd.getpwuid", unknown)  # of a user who is in no /etc/passwd
    assert run(["keys", "list"]) == 2
    assert "set HOME, or XDG_DATA_HOME" in capsys.readouterr().err


def test_a_command_that_is_proposed_leads_to_the_same_place() -> None:
    context = click.Context(click.Command("status"))
    context.meta["bundler.cli.options.told"] = {"context": "my cluster's", "containerd": "/run/a b.sock,docker://n2"}
    with context:
        words = shlex.split(same_place())
        assert (where(), "".join(shlex.split(where())[1:])) == (""" --context 'my cluster'"'"'s'""", "my cluster's")
    assert words == ["--context", "my cluster's", "--containerd", "/run/a b.sock", "--containerd", "docker://n2"]
