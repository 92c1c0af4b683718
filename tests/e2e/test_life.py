"""The life of an app on docker and compose, told through the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import Bundle, docker, get, traces

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.xdist_group("small")]

targets = pytest.mark.parametrize("target", ["docker", "compose"])


def started(app: str) -> dict[str, str]:
    """When each container of the app was started."""
    ids = docker("ps", "-aq", "--filter", f"label=dev.graphbundle.app={app}").split()
    return {one["Name"].lstrip("/"): one["State"]["StartedAt"] for one in json.loads(docker("inspect", *ids))}


@targets
def test_a_bundle_is_deployed_changed_removed_and_leaves_nothing(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"life-{target}", target)
    where = ("--target", target)

    bundle("deploy", small, *where, "--app", name)
    door = bundle("open", name, *where, "--print").out.split()[-1]
    assert get(f"{door}/healthz") == "ok\n"
    assert get(f"{door}/peer?file?/notes/installed") == "set up\n"
    token = get(f"{door}/peer?file?/run/secrets/token")
    assert len(token) == 24
    assert f"PEER_KEY={token}\n" in get(f"{door}/env")

    first = started(name)
    again = bundle("deploy", small, *where, "--app", name)
    assert again.out.startswith("no changes\n")
    assert started(name) == first

    bundle("deploy", small, *where, "--app", name, "--set", "values.greeting=salut", "--yes")
    second = started(name)
    assert {one for one in first if first[one] != second.get(one)} == {one for one in first if "front" in one}
    assert 'greeting = "salut"' in get(f"{door}/file?/etc/front/settings.toml")
    assert bundle("open", name, *where, "--print").out.split()[-1] == door

    assert bundle("run", name, "again", *where).out == "noting salut\n"
    assert bundle("run", name, "again", *where).out == "noting salut\n"
    assert get(f"{door}/peer?file?/notes/again") == "salut\nsalut\n"

    gone = bundle("remove", name, *where)
    assert "kept: " in gone.out
    for what in ("volume/notes", "secrets", "record/"):
        assert what in gone.out
    assert name in bundle("list", *where).out

    bundle("deploy", small, *where, "--app", name)
    door = bundle("open", name, *where, "--print").out.split()[-1]
    assert get(f"{door}/peer?file?/run/secrets/token") == token
    assert get(f"{door}/peer?file?/notes/installed") == "set up\n", "an install job runs once for the life of the data"

    bundle("remove", name, *where, "--volumes", "--yes")
    assert traces(name, "small") == set()


@targets
def test_a_picture_of_an_app_shows_its_edges_and_how_each_service_is(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], tmp_path: Path, target: str
) -> None:
    name = app(f"drawn-{target}", target)
    bundle("deploy", small, "-t", target, "--app", name)

    def drawn() -> dict[str, tuple[str | None, str | None]]:
        data = bundle("graph", name, "-t", target, "--json").json()
        assert data["target"] == target
        written = bundle("graph", small, "--json").json()
        assert {(edge["from"], edge["to"], edge["kind"]) for edge in data["edges"]} <= {
            (edge["from"], edge["to"], edge["kind"]) for edge in written["edges"]
        }
        assert [edge for edge in data["edges"] if edge["kind"] == "connect"]
        return {node["name"]: (node["health"], node["state"]) for node in data["nodes"]}

    assert drawn()["front"] == ("well", "healthy")
    ids = docker("ps", "-q", "--filter", f"label=dev.graphbundle.app={name}").split()
    front = [one for one in ids if "front" in docker("inspect", "--format", "{{.Name}}", one)]
    docker("stop", "--time", "1", *front)
    assert drawn()["front"][0] == "ill"
    docker("rm", *front)
    assert drawn()["front"] == ("absent", "not there")
    bundle("graph", name, "-t", target, "-o", tmp_path / "now.html")
    assert "not there" in (tmp_path / "now.html").read_text()


def test_another_bundle_takes_an_apps_place_only_with_consent(
    bundle: Bundle, small: Path, tmp_path: Path, app: Callable[[str, str], str]
) -> None:
    name = app("place", "docker")
    bundle("deploy", small, "-t", "docker", "--app", name)
    made = written(tmp_path, "bundle: other\nversion: 1.0.0\nvolumes: {data: {}}\n")
    bundle("build", tmp_path, "-o", made)
    refused = bundle("deploy", made, "-t", "docker", "--app", name, status=2)
    assert f"{name} is an app of bundle small" in refused.err
    bundle("status", name, "-t", "docker")
    bundle("deploy", made, "-t", "docker", "--app", name, "--yes")


def test_a_service_sees_the_same_on_docker_and_compose(
    bundle: Bundle, small: Path, app: Callable[[str, str], str]
) -> None:
    seen = {}
    for target in ("docker", "compose"):
        name = app(f"parity-{target}", target)
        bundle("deploy", small, "-t", target, "--app", name)
        door = bundle("open", name, "-t", target, "--print").out.split()[-1]
        token = get(f"{door}/peer?file?/run/secrets/token")
        seen[target] = {
            path: get(f"{door}/{path}").replace(token, "TOKEN").replace(door, "DOOR")
            for path in (
                "env",
                "file?/etc/front/settings.toml",
                "stat?/etc/front/settings.toml",
                "stat?/tmp",
                "list?/etc/front",
                "list?/",
                "whoami",
                "write?/etc/x=1",
                "write?/tmp/x=1",
                "peer?env",
                "peer?whoami",
                "peer?stat?/run/secrets/token",
                "peer?stat?/notes",
                "peer?list?/models/words",
                "peer?file?/models/words/list.txt",
                "peer?write?/models/words/x=1",
                "peer?write?/notes/x=1",
            )
        }
    assert seen["docker"] == seen["compose"]
    assert seen["docker"]["peer?stat?/run/secrets/token"] == "0400 10001:10001 24\n"
    assert seen["docker"]["stat?/etc/front/settings.toml"].startswith("0444 ")
    assert "LITERAL=$HOME ${HOME} $$ ${values.greeting} 100%\n" in seen["docker"]["env"]
    assert "Read-only file system" in seen["docker"]["write?/etc/x=1"]
    assert "Read-only file system" in seen["docker"]["peer?write?/models/words/x=1"]


@targets
def test_a_secret_is_in_no_label_plan_log_or_document(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"hush-{target}", target)
    said = bundle("deploy", small, "-t", target, "--app", name)
    door = bundle("open", name, "-t", target, "--print").out.split()[-1]
    token = get(f"{door}/peer?file?/run/secrets/token")
    told = [said.out, said.err]
    told += [bundle("status", name, "-t", target, "--json").out, bundle("logs", name, "-t", target).out]
    told += [bundle("render", small, "-t", target).out]
    ids = docker("ps", "-aq", "--filter", f"label=dev.graphbundle.app={name}").split()
    told += [json.dumps(one["Config"]["Labels"]) for one in json.loads(docker("inspect", *ids))]
    volumes = docker("volume", "ls", "-q", "--filter", f"label=dev.graphbundle.app={name}").split()
    told += [docker("volume", "inspect", *volumes)]
    assert token not in "".join(told)


@targets
def test_an_app_that_never_gets_healthy_ends_with_exit_status_8_and_its_log(
    bundle: Bundle, tmp_path: Path, app: Callable[[str, str], str], target: str
) -> None:
    graph = tmp_path / "bundle.yaml"
    (tmp_path / "app").symlink_to(Path(__file__).parents[2] / "fixtures/small/app")
    graph.write_text(
        "bundle: sick\nversion: 1.0.0\nservices:\n  web:\n    image: sick-app:1\n    command: [serve, '7000']\n"
        "    expose: {http: 7000}\n    environment: {READY_FILE: /never}\n    stop_grace_period: 1s\n"
        "    healthcheck: {http: /healthz, interval: 500ms, start_period: 1s, retries: 2}\n"
    )
    docker("build", "-q", "-t", "sick-app:1", str((tmp_path / "app").resolve()))
    name = app(f"sick-{target}", target)
    bundle("build", tmp_path, "-o", tmp_path / "sick.tar")
    ended = bundle("deploy", tmp_path / "sick.tar", "-t", target, "--app", name, "--timeout", "6s", status=8)
    assert "not ready within 6 s: service/web is" in ended.err
    assert "HTTP 503" in ended.err
    assert "listening on 7000" in ended.err
    bundle("status", name, "-t", target, status=8)
    docker("rmi", "-f", "sick-app:1")


@targets
def test_a_stopped_service_is_started_again_by_a_deploy(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"drift-{target}", target)
    bundle("deploy", small, "-t", target, "--app", name)
    front = next(one for one in started(name) if "front" in one)
    docker("stop", "-t", "1", front)
    bundle("status", name, "-t", target, status=8)
    bundle("deploy", small, "-t", target, "--app", name)
    bundle("status", name, "-t", target)


def test_a_foreign_container_of_our_name_is_refused_and_left_alone(
    bundle: Bundle, small: Path, app: Callable[[str, str], str]
) -> None:
    name = app("taken", "docker")
    docker("volume", "create", f"{name}_notes")
    try:
        refused = bundle("deploy", small, "-t", "docker", "--app", name, status=6)
        assert f"{name}_notes" in refused.err
        bundle("remove", name, "-t", "docker", "--volumes", "--yes", status=2)
        assert f"{name}_notes" in docker("volume", "ls", "-q")
    finally:
        docker("volume", "rm", f"{name}_notes")


def test_compose_itself_lists_the_app_and_accepts_the_rendered_document(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    name = app("listed", "compose")
    bundle("deploy", small, "-t", "compose", "--app", name)
    assert name in {one["Name"] for one in json.loads(docker("compose", "ls", "--format", "json"))}
    bundle("render", small, "-t", "compose", "--app", name, "-o", tmp_path)
    document = next(tmp_path.iterdir())
    secrets = {"BUNDLE_SECRET_token": "", "BUNDLE_SECRET_token_URL": ""}
    config = ["docker", "compose", "-f", str(document), "config", "--quiet"]
    assert subprocess.run(config, env={**os.environ, **secrets}, capture_output=True).returncode == 0
    assert b"BUNDLE_SECRET_token" in subprocess.run(config, capture_output=True).stderr, "no blank secrets by hand"
    first = document.read_bytes()
    bundle("render", small, "-t", "compose", "--app", name, "-o", tmp_path)
    assert document.read_bytes() == first


def test_services_come_back_when_the_engine_restarts_them(
    bundle: Bundle, small: Path, app: Callable[[str, str], str]
) -> None:
    name = app("crash", "docker")
    bundle("deploy", small, "-t", "docker", "--app", name)
    pid = json.loads(docker("inspect", f"{name}-front"))[0]["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)
    for _ in range(50):
        state = json.loads(docker("inspect", f"{name}-front"))[0]["State"]
        if state["Running"] and state["Pid"] != pid:
            return
        time.sleep(0.2)
    pytest.fail("the container did not come back")


@targets
def test_a_deploy_killed_at_any_moment_is_finished_by_the_same_command(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"killed-{target}", target)
    argv = ["deploy", str(small), "--target", target, "--app", name]
    alive = 0
    for delay_s in (0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5):
        process = bundle.start(*argv)
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            alive += 1
            process.kill()
            process.wait()
    assert alive >= 3, "the deploys ended before they could be killed"
    bundle(*argv)
    assert bundle(*argv).out.startswith("no changes\n")
    door = bundle("open", name, "-t", target, "--print").out.split()[-1]
    assert f"PEER_KEY={get(f'{door}/peer?file?/run/secrets/token')}\n" in get(f"{door}/env")
    assert get(f"{door}/peer?file?/notes/installed") == "set up\n"
    bundle("remove", name, "-t", target, "--volumes", "--yes")
    assert traces(name, "small") == set()


@targets
@pytest.mark.parametrize("apart_s", [0.0, 1.0])
def test_of_two_deploys_at_once_one_is_done_and_the_other_ends_before_its_first_step(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str, apart_s: float
) -> None:
    name = app(f"twice-{target}", target)
    argv = ["deploy", str(small), "--target", target, "--app", name]
    secrets = ("first bytes",) if apart_s else ("first bytes", "other bytes")  # a later deploy is over in a moment
    for secret in secrets:
        (small.parent / "token").write_text(secret)
        (small.parent / "site.yaml").write_text("secrets: {token: {file: ./token}}\n")
        begun = []
        for delay_s in (apart_s, 0.0):
            begun.append(bundle.start(*argv, "--site", str(small.parent / "site.yaml"), "--yes"))
            time.sleep(delay_s)
        said = {process.communicate(timeout=120)[1]: process.returncode for process in begun}
        assert sorted(said.values()) == [0, 6], said
        refused = next(text for text, status in said.items() if status == 6)
        assert f"another deploy of {name} " in refused
        assert "run the same command again" in refused
        assert bundle(*argv).out.startswith("no changes\n")
    door = bundle("open", name, "-t", target, "--print").out.split()[-1]
    assert f"PEER_KEY={secrets[-1]}\n" in get(f"{door}/env")
    assert not [one for one in docker("volume", "ls", "-q").split() if one.startswith(f"{name}_lease")]


@targets
def test_a_job_that_takes_too_long_is_ended_and_does_not_make_the_app_unwell(
    bundle: Bundle, tmp_path: Path, app: Callable[[str, str], str], target: str
) -> None:
    made = written(
        tmp_path,
        "bundle: slow\nversion: 1.0.0\njobs:\n  work:\n    build: ./app\n    command: [serve, '7000']\n"
        "    timeout: 2s\n    stop_grace_period: 1s\n",
    )
    name = app(f"slow-{target}", target)
    bundle("build", tmp_path, "-o", made)
    said = bundle("deploy", made, "-t", target, "--app", name)
    assert "adapted: job/work timeout" in said.err
    ended = bundle("run", name, "work", "-t", target, status=8)
    assert "job/work ran for longer than its timeout of 2 s and was ended" in ended.err
    assert "running" not in bundle("status", name, "-t", target).out


def written(directory: Path, graph: str) -> Path:
    """A graph beside the small fixture's program, built into a bundle."""
    shutil.copytree(Path(__file__).parents[2] / "fixtures/small/app", directory / "app")
    (directory / "bundle.yaml").write_text(graph)
    return directory / "made.tar"


@targets
def test_a_service_that_crashes_and_has_no_health_check_fails_the_deploy(
    bundle: Bundle, tmp_path: Path, app: Callable[[str, str], str], target: str
) -> None:
    graph = "bundle: crash\nversion: 1.0.0\nservices:\n  loop: {build: ./app, command: [fail, '3']}\n"
    made = written(tmp_path, graph)
    bundle("build", tmp_path, "-o", made)
    name = app(f"crash-{target}", target)
    ended = bundle("deploy", made, "-t", target, "--app", name, "--timeout", "5s", status=8)
    assert "service/loop is" in ended.err
    assert "ended" in ended.err
    assert "failing with 3" in ended.err
    bundle("deploy", made, "-t", target, "--app", name, "--timeout", "5s", status=8)


@targets
def test_what_was_removed_neither_runs_nor_opens(
    bundle: Bundle, small: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"gone-{target}", target)
    bundle("deploy", small, "-t", target, "--app", name)
    bundle("remove", name, "-t", target)
    assert "bundle deploy FILE" in bundle("run", name, "again", "-t", target, status=6).err
    bundle("open", name, "-t", target, "--print", status=2)
    assert "nothing runs; data is kept" in bundle("status", name, "-t", target, status=8).out


def test_an_unfinished_app_is_listed(bundle: Bundle, small: Path, app: Callable[[str, str], str]) -> None:
    name = app("half", "docker")
    process = bundle.start("deploy", str(small), "-t", "docker", "--app", name)
    while name not in docker("volume", "ls", "-q"):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert name in bundle("list", "-t", "docker").out
    assert "an unfinished deploy" in bundle("status", name, "-t", "docker", status=8).out


def test_the_engine_is_that_of_the_docker_context(bundle: Bundle, tmp_path: Path) -> None:
    config = {"DOCKER_CONFIG": str(tmp_path)}
    socket = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    for name, host in (("dead", "tcp://127.0.0.1:1"), ("live", socket)):
        create = ["docker", "context", "create", name, "--docker", f"host={host}"]
        subprocess.run(create, env={**os.environ, **config}, check=True, capture_output=True)
    env = {key: value for key, value in bundle.env.items() if key != "DOCKER_HOST"} | config
    there = replace(bundle, env=env)
    there("list", "-t", "docker")
    assert (
        "tcp://127.0.0.1:1"
        in replace(bundle, env={**env, "DOCKER_CONTEXT": "dead"})("list", "-t", "docker", status=6).err
    )
    replace(bundle, env={**env, "DOCKER_CONTEXT": "live"})("list", "-t", "compose")
    named = there("status", "nothing-there", "-t", "docker", "--context", "live", status=2)
    assert "bundle list --target docker --context live" in named.err, "the way on leads to the same place"
    (tmp_path / "config.json").write_text('{"currentContext": "dead"}')
    there("list", "-t", "docker", status=6)
    replace(bundle, env={**env, "DOCKER_HOST": socket})("list", "-t", "docker")
    replace(bundle, env={**env, "DOCKER_CONTEXT": "none-such"})("list", "-t", "docker", status=6)
