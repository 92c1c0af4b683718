"""bundle import compose: several files over each other, ports out of the engine's images, passwords in addresses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing.compose import Imported, imported
from bundler.importing.endpoints import Declared
from bundler.importing.folder import Folder
from bundler.importing.report import Verdict, lines
from bundler.importing.writing import graph_text

BASE = """\
name: shop
services:
  base: {image: base, environment: [MODE=base, KEPT=1, build=one, tmpfs=two]}
  api:
    extends: base
    build: ./api
    command: [serve, --slow]
    ports: ["8000:80"]
    volumes: ["data:/data", "cache:/cache:ro"]
    tmpfs: /run
    depends_on: [db]
    healthcheck: {test: [CMD, check], interval: 5s}
  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: opensesame}}
volumes: {data: , cache: }
"""
MORE = """\
services:
  base: {environment: {MODE: changed, build: other, tmpfs: more}}
  api:
    environment: {MODE: production, DB: "postgres://postgres:opensesame@db:5432/postgres"}
    build: {context: ./other}
    command: [serve]
    ports: ["9000:90"]
    volumes: ["fast:/cache"]
    tmpfs: [/tmp]
    depends_on: {base: {condition: service_started}}
    healthcheck: {test: [CMD, other]}
volumes: {fast: }
"""


def nowhere(image: str) -> None:
    """As where no engine answers."""


def laid(*texts: str, folder: Path = Path("/nonexistent"), declared: Declared = nowhere) -> Imported:
    named = [(text, f"{index}.yaml") for index, text in enumerate(texts)]
    found = imported(named, "shop", Folder(folder), (), declared)
    check(parse(graph_text(found.graph, "f", found.remarks), "bundle.yaml"))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("api", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "compose.yaml").write_text(BASE)
    (tmp_path / "compose.prod.yaml").write_text(MORE)
    return tmp_path


def test_a_file_is_laid_over_those_before_it_as_compose_lays_it(folder: Path) -> None:
    graph = laid(BASE, MORE, folder=folder).graph
    api, base = graph["services"]["api"], graph["services"]["base"]
    assert base["environment"] == {"MODE": "changed", "KEPT": "1", "build": "other", "tmpfs": "more"}
    extended = {"KEPT": "1", "build": "one", "tmpfs": "two"}  # of the file that it stands in
    assert api["environment"] == {"MODE": "production", **extended, "DB": "${db.url}"}
    assert (api["build"], api["command"]) == ("./other", ["serve"])
    assert api["volumes"] == ["data:/data", "fast:/cache"]
    assert api["tmpfs"] == ["/run", "/tmp"]
    assert api["healthcheck"] == {"test": ["other"], "interval": "5s"}
    assert api["expose"] == {"http": 80, "port-90": 90}
    assert (set(api.get("depends_on", {})) | set(api["connect"])) == {"base", "db"}


@pytest.mark.engine
def test_several_files_become_what_one_becomes_that_compose_has_merged(folder: Path) -> None:
    argv = ["docker", "compose", "-f", "compose.yaml", "-f", "compose.prod.yaml", "config", "--no-interpolate"]
    merged = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout
    merged = merged.replace(str(folder), ".")
    ours, theirs = laid(BASE, MORE, folder=folder).graph, laid(merged, folder=folder).graph
    for graph in (ours, theirs):
        for service in graph["services"].values():
            service["environment"] = dict(sorted(service["environment"].items()))
            service["volumes"] = sorted(service.get("volumes", ()))
    assert ours == theirs


def test_the_command_takes_several_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["-f", str(folder / "compose.yaml"), "-f", str(folder / "compose.prod.yaml")]
    assert run(["import", "compose", *files]) == 0
    assert "compose.yaml, compose.prod.yaml" in (folder / "bundle.yaml").read_text()
    assert run(["import", "compose", str(folder), *files]) == 2
    assert "two ways to say it" in capsys.readouterr().err


def test_an_override_that_compose_would_read_is_named_with_the_way_to_read_it(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text(MORE)
    alone = laid(BASE, folder=folder)
    assert "-f compose.override.yaml has it read too" in "\n".join(lines(alone.report))
    both = imported([(BASE, "compose.yaml"), (MORE, "compose.override.yaml")], "shop", Folder(folder))
    assert "has it read too" not in "\n".join(lines(both.report))


def test_tags_of_merging_are_told_what_to_do_instead() -> None:
    with pytest.raises(UsageError, match=r"!override is not read here; `.* --no-path-resolution` writes what it means"):
        laid("services: {a: {image: a, ports: !override [80]}}")


# ports of images


def test_ports_that_the_engine_s_image_declares_are_endpoints() -> None:
    text = "services: {a: {image: acme/a:1, environment: {B: 'http://b'}}, b: {image: acme/b:1, entrypoint: work}}"
    found = laid(text, declared=lambda image: (8080, 9000) if image == "acme/a:1" else None)
    assert found.graph["services"]["a"]["expose"] == {"http": 8080, "port-9000": 9000}
    told = {each.where: each.message for each in found.report.of(Verdict.TAKEN)}
    assert told["services.a.image"] == "acme/a:1 declares 8080, 9000, as the local engine has it"


def test_an_image_that_no_engine_has_is_named_where_nothing_else_tells_its_ports() -> None:
    text = (
        "services: {a: {image: acme/a}, b: {image: acme/b, ports: [80]}, c: {image: nginx}, d: {image: d, expose: [1]}}"
    )
    left = [each.where for each in laid(text).report.of(Verdict.LEFT_OUT) if "docker pull" in each.message]
    assert left == ["services.a.image"]


@pytest.mark.engine
def test_the_command_asks_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "bundle.local/test/declares:1"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"], input=DOCKERFILE, check=True, capture_output=True
    )
    try:
        (tmp_path / "compose.yaml").write_text(f"services: {{a: {{image: {name}}}}}\n")
        assert run(["import", "compose", str(tmp_path)]) == 0
        assert "expose: {http: 8080}" in (tmp_path / "bundle.yaml").read_text()
        assert f"{name} declares 8080" in capsys.readouterr().out
    finally:
        subprocess.run(["docker", "image", "rm", name], check=True, capture_output=True)


DOCKERFILE = b'FROM scratch\nEXPOSE 8080 53/udp\nCMD ["/none"]\n'


# passwords in addresses


def test_the_password_of_an_address_that_is_kept_is_percent_encoded() -> None:
    found = laid(
        "services:\n"
        "  db: {image: postgres, environment: {POSTGRES_PASSWORD: 'p@ss/word'}}\n"
        "  a: {image: a, environment: {URL: 'postgresql://postgres:p%40ss%2Fword@db:5432/postgres',"
        " OWN: 'postgres://postgres:p%40ss%2Fword@db:5432/postgres', PGPASSWORD: 'p@ss/word'}}\n"
    )
    assert found.graph["secrets"] == {"postgres-password": {"generate": 24}}, "one password, however it is written"
    assert found.graph["services"]["a"]["environment"] == {
        "URL": "postgresql://postgres:${secrets.postgres-password.encoded}@${db.host}:${db.port}/postgres",
        "OWN": "${db.url}",
        "PGPASSWORD": "${secrets.postgres-password}",
    }


def test_a_variable_in_the_login_of_an_address_is_percent_encoded_too() -> None:
    found = laid("services: {a: {image: a, environment: {U: 'https://me:${PASSWORD}@far.example/', P: '${PASSWORD}'}}}")
    assert found.graph["services"]["a"]["environment"] == {
        "U": "https://me:${secrets.password.encoded}@far.example/",
        "P": "${secrets.password}",
    }


# lints


def test_lints_of_the_graph_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    (tmp_path / "compose.yaml").write_text("services: {a: {image: acme/a, ports: [80]}, b: {image: acme/b}}\n")
    assert run(["import", "compose", str(tmp_path), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["lints"]
    assert run(["import", "compose", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert f"{len(told)} lint" in said
    assert run(["check", str(tmp_path), "--json"]) == 0
    assert [one["code"] for one in json.loads(capsys.readouterr().out)["lints"]] == [one["code"] for one in told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {api: [1]}", "services.api: expected a map, at 1.yaml:1:17"),
        ("services: {api: {ports: 5}}", "services.api.ports: expected a list of texts and maps, at 1.yaml:1:25"),
        ("services: {api: {networks: x}}", "services.api.networks: expected a map of maps or a list of texts, at"),
        ("services: {api: {depends_on: 5}}", "services.api.depends_on: expected a map of maps or a list of texts, at"),
        ("services: {api: {environment: 7}}", "services.api.environment: expected a map of texts or a list of"),
        ("services: {api: {healthcheck: []}}", "services.api.healthcheck: expected a map, at 1.yaml:1:31"),
        (
            "services: {api: {healthcheck: {test: {}}}}",
            "services.api.healthcheck.test: expected text or a list of texts",
        ),
        ("volumes: 3", "volumes: expected a map of maps, at 1.yaml:1:10"),
        ("volumes: {data: 3}", "volumes.data: expected a map, at 1.yaml:1:17"),
        ("configs: [x]", "configs: expected a map of maps, at 1.yaml:1:10"),
        ("secrets: x", "secrets: expected a map of maps, at 1.yaml:1:10"),
        ("networks: x", "networks: expected a map of maps, at 1.yaml:1:11"),
        ("name: [x]", "name: expected text, at 1.yaml:1:7"),
    ],
)
def test_what_has_no_form_of_compose_is_refused_where_it_stands_in_any_of_the_files(
    text: str, told: str, folder: Path
) -> None:
    for texts, name in (((BASE, text), "1.yaml"), ((text, BASE), "0.yaml")):
        refused = laid(*texts, folder=folder).report.of(Verdict.REFUSED)
        (line,) = (f"{one.where}: {one.message}" for one in refused if "expected" in one.message)
        assert line.startswith(told.replace("1.yaml", name))


def test_services_that_are_no_map_are_none(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"^1.yaml:1:11: services: expected a map of maps"):
        laid(BASE, "services: x", folder=folder)
    found = laid("services:\n  a: &a {image: a, user: [x]}\n  b: {<<: *a, user: x}", folder=folder)
    assert [one.message for one in found.report.of(Verdict.REFUSED)] == ["expected text, at 0.yaml:2:26"]
