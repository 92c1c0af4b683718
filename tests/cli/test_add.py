"""bundle add: a component in a graph file with one command, and nothing else in it changed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.graphfile.check import check
from bundler.graphfile.library import Libraries
from bundler.graphfile.source import parse

BUNDLE = (sys.executable, "-c", "from bundler.cli.main import main; main()")
LIBRARY = Path(__file__).parents[1] / "graphfile" / "libraries" / "components"
GRAPH = """\
# ours
bundle: shop
version: "1.0"
libraries: {acme: ./components}

services:
  api:
    image: a   # pinned later
    expose: {http: 80}

publish: {api: api.http}
"""


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The graph file in the current directory, beside a library."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(LIBRARY, tmp_path / "components")
    file = tmp_path / "bundle.yaml"
    file.write_text(GRAPH)
    return file


def test_a_component_is_there_with_one_command(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "tensorboard@2.20", "--connect", "logs=runs", "--publish"]) == 0
    assert graph.read_text() == GRAPH.replace(
        "80}\n", "80}\n  tensorboard:\n    use: tensorboard@2.20\n    connect: {logs: runs}\n"
    ).replace("api.http}\n", "api.http, tensorboard: tensorboard.http}\n\nvolumes:\n  runs: {}\n")
    said = capsys.readouterr()
    assert said.out == (
        "--- bundle.yaml\n+++ bundle.yaml\n@@ -7,5 +7,11 @@\n   api:\n     image: a   # pinned later\n"
        "     expose: {http: 80}\n+  tensorboard:\n+    use: tensorboard@2.20\n+    connect: {logs: runs}\n \n"
        "-publish: {api: api.http}\n+publish: {api: api.http, tensorboard: tensorboard.http}\n+\n"
        "+volumes:\n+  runs: {}\n"
    )
    assert said.err.startswith("added tensorboard to bundle.yaml, and the volume runs: TensorBoard")
    assert run(["check"]) == 0


def test_the_diff_is_what_patch_takes(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "postgres", "--as", "db", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert graph.read_text() == GRAPH
    subprocess.run(["patch", "-p0"], input=said.out, text=True, check=True, stdout=subprocess.DEVNULL)
    patched = graph.read_text()
    graph.write_text(GRAPH)
    assert run(["add", "postgres", "--as", "db"]) == 0
    assert graph.read_text() == patched


def test_what_is_connected_and_there_is_not_added_again(graph: Path) -> None:
    graph.write_text(GRAPH + "volumes: {runs: {}}\n")
    assert run(["add", "tensorboard", "--connect", "logs=runs"]) == 0
    assert graph.read_text().endswith("volumes: {runs: {}}\n")


@pytest.mark.parametrize("name", ["run", "rusn", "runss"])
def test_a_volume_that_is_nearly_there_is_not_made(graph: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = GRAPH + "volumes: {runs: {}}\n"
    graph.write_text(text)
    assert run(["add", "tensorboard", "--connect", f"logs={name}"]) == 2
    said = capsys.readouterr().err
    assert f"error: there is no volume {name}, and there is runs\n  --connect logs=runs; if both are meant" in said
    assert graph.read_text() == text


@pytest.mark.parametrize("name", ["runs-2", "runs2", "logs"])
def test_another_volume_is_made_beside_it(graph: Path, name: str) -> None:
    graph.write_text(GRAPH + "volumes:\n  runs: {}\n")
    assert run(["add", "tensorboard", "--connect", f"logs={name}"]) == 0
    assert graph.read_text().endswith(f"volumes:\n  runs: {{}}\n  {name}: {{}}\n")


def test_a_volume_of_a_component_can_be_connected(graph: Path) -> None:
    assert run(["add", "acme/queue"]) == 0
    assert run(["add", "tensorboard", "--connect", "logs=queue-data"]) == 0
    assert "\nvolumes" not in graph.read_text()


def test_one_component_twice(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "postgres"]) == 0
    assert run(["add", "postgres"]) == 2
    said = capsys.readouterr().err
    assert "the name postgres is taken by a service of bundle.yaml\n  give another one: --as postgres-2\n" in said
    assert run(["add", "postgres", "--as", "postgres-2"]) == 0
    source = parse(graph.read_text(), "bundle.yaml")
    assert [one.name for one in check(source, Libraries(graph.parent)).volumes] == ["postgres-2-data", "postgres-data"]


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("acme/queue", "acme/queue@1.5"),
        ("acme/queue@1", "acme/queue@1.5"),
        ("acme/queue@1.0", "acme/queue@1.0"),
        ("acme/queue@1.0.3", "acme/queue@1.0.3"),
        ("acme/worker", "acme/worker@1"),
    ],
)
def test_the_version_is_written_so_that_mended_ones_are_taken(graph: Path, asked: str, written: str) -> None:
    assert run(["add", asked]) == 0
    assert f"    use: {written}\n" in graph.read_text()


def test_a_graph_without_libraries_is_told_how_to_name_one(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text("bundle: x\nversion: 1.0.0\n")
    assert run(["add", "acme/queue"]) == 2
    assert 'no library "acme"\n  name its folder: libraries: {acme: ./…}\n' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["postgress"], 2, 'the library has no component "postgress"\n  did you mean "postgres"?'),
        (["postgres@1"], 2, "the library has no postgres 1\n  it has: 1"),
        (["queue"], 2, 'the library has no component "queue"\n  write acme/queue'),
        (["postgres:17"], 2, '"postgres:17" is no component\'s name\n  write postgres@17'),
        (["acne/queue"], 2, 'there is no library "acne"\n  did you mean "acme"?'),
        (["postgres", "--as", "api"], 2, "the name api is taken by a service of bundle.yaml\n  give another one: --as"),
        (["postgres", "--as", "My DB"], 2, '"My DB" cannot name a node\n  write my-db'),
        (["postgres", "--connect", "logs"], 2, "--connect logs: not of the form SLOT=TARGET\n  --connect logs=runs"),
        (["postgres", "--connect", "logs=a"], 2, "it needs nothing: leave --connect out"),
        (["tensorboard", "--connect", "log=a"], 2, 'needs nothing of the name "log"\n  did you mean "logs"?'),
        (["tensorboard"], 2, "the graph has none yet; any name adds one: --connect logs=logs"),
        (["acme/tracker"], 2, "what lies outside goes into externals\n  bundle add p"),
        (["postgres", "--publish"], 2, "postgres has no endpoint that speaks http, so no front door"),
        (["tensorboard", "--connect", "logs=api"], 3, '"api" is a service\n    write the name of a volume'),
        (
            ["acme/tracker", "--connect", "store=api.http"],
            3,
            "tracker needs postgres as store, and api.http speaks http",
        ),
        (["acme/tracker", "--connect", "store=db.sql"], 3, 'there is no service or external "db"'),
        (["postgres", "/nowhere"], 2, "there is no graph at /nowhere"),
        (["bundle.yaml", "postgres"], 2, "the component comes first: bundle add postgres bundle.yaml"),
        (["Postgres:17"], 2, '"Postgres:17" is no component\'s name\n  write postgres@17'),
        (["tensorboard", "--connect", "logs=a", "--connect", "logs=b"], 2, "--connect says logs twice"),
        (["redis"], 2, 'the library has no component "redis"\n  about redis there is: valkey'),
    ],
)
def test_what_cannot_be_added_is_told_and_nothing_is_written(
    graph: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert run(["add", *arguments]) == status
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert graph.read_text() == GRAPH
    assert status != 3 or told.err.endswith("error: 1 problem in the graph\n  nothing was written\n")


def test_a_front_door_that_is_there_stays(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text(GRAPH.replace("{api:", "{tensorboard:"))
    assert run(["add", "tensorboard", "--connect", "logs=runs", "--publish"]) == 2
    assert "bundle.yaml has a front door tensorboard already" in capsys.readouterr().err


def test_what_is_needed_and_there_is_named(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text(GRAPH + "volumes: {runs: {}, more: {}}\nexternals: {store: {as: postgres}}\n")
    assert run(["add", "postgres", "--as", "db"]) == 0
    assert run(["add", "tensorboard"]) == 2
    assert "there is: runs, more, db-data; another name adds one: --connect logs=logs\n" in capsys.readouterr().err
    graph.write_text(GRAPH + "volumes: {logs: {}}\n")
    assert run(["add", "tensorboard"]) == 2
    said = "there is: logs; another name adds one: --connect logs=tensorboard-logs\n"
    assert said in capsys.readouterr().err


def test_an_endpoint_that_is_needed_and_there_is_named(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text(GRAPH + "externals: {store: {as: postgres}}\n")
    assert run(["add", "postgres", "--as", "db"]) == 0
    capsys.readouterr()
    assert run(["add", "acme/tracker"]) == 2
    assert "there is: db.sql, store\n  --connect store=db.sql\n" in capsys.readouterr().err


def test_a_graph_with_a_mistake_in_it_is_left_alone(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text(broken := GRAPH.replace("image:", "imgae:"))
    assert run(["add", "postgres"]) == 3
    assert 'bundle.yaml:8:5: "imgae" is no key of a service\n    did you mean "image"?' in capsys.readouterr().err
    assert graph.read_text() == broken


def test_an_empty_file_is_told_how_a_graph_begins(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text("# to come\n")
    assert run(["add", "postgres"]) == 3
    assert "the file is empty\n    a graph begins with bundle: NAME" in capsys.readouterr().err


def test_a_file_of_windows_stays_one_and_keeps_its_mode(graph: Path) -> None:
    graph.write_bytes(b"\xef\xbb\xbf" + GRAPH.replace("\n", "\r\n").encode())
    graph.chmod(0o600)
    assert run(["add", "postgres"]) == 0
    new = graph.read_bytes()
    assert new.startswith(b"\xef\xbb\xbf# ours\r\n")
    assert new.count(b"\n") == new.count(b"\r\n")
    assert graph.stat().st_mode & 0o777 == 0o600


def test_a_file_is_named_as_well_as_its_directory(graph: Path) -> None:
    other = graph.parent / "other.yaml"
    other.write_text(GRAPH)
    assert run(["add", "postgres", str(other)]) == 0
    assert "use: postgres@" in other.read_text()
    assert graph.read_text() == GRAPH


def answering(answer: bytes, *arguments: str) -> tuple[int, str]:
    """Exit status, and all that is seen, of the command on a terminal at which somebody types `answer`."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*BUNDLE, *arguments])
    seen, answered = b"", False
    with contextlib.suppress(OSError):  # the end of a terminal
        while True:
            if select.select([terminal], [], [], 0.5)[0]:
                seen += os.read(terminal, 4096)
            elif b"]: " in seen[-20:] or (b"logs: " in seen[-10:] and not answered):
                answered = True
                os.write(terminal, answer)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


@pytest.mark.parametrize(
    ("volumes", "answer", "written", "seen"),
    [
        ("", b"\n", "connect: {logs: logs}", "the graph has none yet; any name adds one"),
        ("volumes: {runs: {}}\n", b"\n", "connect: {logs: runs}", "there is: runs; another name adds one"),
        ("volumes: {runs: {}, b: {}}\n", b"b\n", "connect: {logs: b}", "there is: runs, b"),
    ],
)
def test_at_a_terminal_it_asks_for_what_is_needed(
    graph: Path, volumes: str, answer: bytes, written: str, seen: str
) -> None:
    graph.write_text(GRAPH + volumes)
    status, shown = answering(answer, "add", "tensorboard")
    assert status == 0, shown
    assert f"tensorboard needs logs, a volume; {seen}" in shown
    assert written in graph.read_text()
    assert "\x1b[32m+  tensorboard:\x1b[0m" in shown


def test_programs_are_told_what_came(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("add", "tensorboard@2.20", "--connect", "logs=runs", "--publish", "--json")
    assert run([*asked, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is False
    assert graph.read_text() == GRAPH
    assert run(list(asked)) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == {
        "file": "bundle.yaml",
        "written": True,
        "node": "tensorboard",
        "use": "tensorboard@2.20",
        "nodes": {"services": ["tensorboard"], "volumes": ["runs"]},
        "connections": {"logs": "runs"},
        "doors": ["tensorboard"],
        "endpoints": {"tensorboard.http": "http"},
    }


def test_programs_are_told_of_the_nodes_that_a_component_brings_along(
    graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["add", "postgres@17", "--as", "db", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["nodes"] == {"services": ["db"], "volumes": ["db-data"], "secrets": ["db-password"]}
    assert (told["endpoints"], told["doors"]) == ({"db.sql": "postgres"}, [])


def test_of_several_at_once_none_undoes_what_another_did(graph: Path) -> None:
    names = ("postgres", "valkey", "nginx", "pgvector", "fuseki", "mlflow")
    begun = {
        name: subprocess.Popen([*BUNDLE, "add", name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for name in names
    }
    told = {name: (process.communicate()[1], process.returncode) for name, process in begun.items()}
    for name, (said, status) in told.items():
        assert (f"use: {name}@" in graph.read_text()) == (status == 0), said
        assert status == 0 or "bundle.yaml was changed meanwhile, and stays as it is now\n  run the same" in said
    assert 0 in {status for _, status in told.values()}
