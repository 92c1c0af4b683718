"""What every component of the library has, as far as its file tells."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundler.collect.reference import Reference
from bundler.graphfile.check import check
from bundler.graphfile.library import Libraries, Library
from bundler.graphfile.source import parse
from bundler.model.graph import Graph, Service

OWN = Library.own()


@dataclass(frozen=True)
class Component:
    file: Path
    data: dict[str, Any]
    graph: Graph  # one that uses it and nothing else

    @property
    def services(self) -> list[Service]:
        return [one for one in self.graph.services if one.name.startswith("it")]


@pytest.fixture(params=OWN.entries, ids=lambda entry: f"{entry.name}@{entry.version}")
def component(request: pytest.FixtureRequest, tmp_path: Path) -> Component:
    """Used alone: a graph with nothing but what it needs."""
    entry = request.param
    data = yaml.safe_load(entry.path.read_text())
    graph: dict[str, Any] = {"bundle": "alone", "version": "1.0.0"}
    graph["services"] = {"it": {"use": f"{entry.name}@{entry.version}"}}
    for slot, type in data.get("needs", {}).items():
        graph["services"]["it"].setdefault("connect", {})[slot] = f"{slot}-given"
        kind, given = ("volumes", {}) if type == "volume" else ("externals", {"as": type})
        graph.setdefault(kind, {})[f"{slot}-given"] = given
    return Component(
        entry.path, data, check(parse(yaml.safe_dump(graph, sort_keys=False), "bundle.yaml"), Libraries(tmp_path))
    )


def test_it_tells_what_it_is_and_how_it_is_used(component: Component) -> None:
    doc = component.data["doc"]
    assert len(component.data["summary"]) <= 100
    assert f"use: {component.data['component']}@{component.data['version']}" in doc
    assert "Back up" in doc or "It keeps nothing" in doc, "what of it is to be kept, and how"
    assert "More room" in doc or "More instances" in doc
    assert 10 <= len(doc.splitlines()) <= 45, "about a screen"
    assert max(len(line) for line in component.file.read_text().splitlines()) <= 120


def test_it_shows_when_it_is_ready(component: Component) -> None:
    assert all(service.healthcheck is not None for service in component.services)


def test_it_runs_as_a_numeric_user_other_than_root(component: Component) -> None:
    for service in component.services:
        uid, _, gid = str(service.user).partition(":")
        assert int(uid) > 0
        assert gid.isdigit()
        assert not service.cap_add


def test_its_memory_is_bounded(component: Component) -> None:
    assert all(service.resources.memory_bytes for service in component.services)


def test_its_volumes_say_how_large_they_are_and_its_secrets_make_themselves(component: Component) -> None:
    assert all(volume.get("size") for volume in component.data.get("volumes", {}).values())
    assert all(secret.get("generate", 0) >= 32 for secret in component.data.get("secrets", {}).values())


def test_its_image_is_a_complete_name_with_a_version(component: Component) -> None:
    for service in component.data["services"].values():
        reference = Reference.parse(service["image"])
        assert str(reference) == service["image"]
        assert any(letter.isdigit() for letter in reference.tag or "")


def test_it_offers_an_endpoint(component: Component) -> None:
    assert any(service.expose for service in component.services)


def test_the_readme_tells_of_every_component_and_of_no_other() -> None:
    rows = [
        row.split("|")[1].strip()
        for row in (Path(OWN.entries[0].path).parent / "README.md").read_text().splitlines()
        if row.startswith("| ")
    ]
    assert sorted(rows[2:]) == sorted(f"{entry.name}@{entry.version}" for entry in OWN.entries)


@pytest.mark.parametrize(
    ("password", "settings"),
    [
        ("two words", 'requirepass "two words"'),
        ('q"uo\\te#', 'requirepass "q\\"uo\\\\te#"'),
        ("$(id)", 'requirepass "$(id)"'),
    ],
)
def test_valkey_takes_any_password_of_a_site(tmp_path: Path, password: str, settings: str) -> None:
    assert settings in _settings_of_valkey(tmp_path, password).stdout


def test_valkey_does_not_start_without_a_password(tmp_path: Path) -> None:
    done = _settings_of_valkey(tmp_path, "")
    assert (done.returncode, done.stdout) == (1, "")


def _settings_of_valkey(tmp_path: Path, password: str) -> subprocess.CompletedProcess[str]:
    """What its server reads, by `cat` in its place."""
    (tmp_path / "password").write_text(password)
    (tmp_path / "valkey-server").write_text("#!/bin/sh\nexec cat\n")
    (tmp_path / "valkey-server").chmod(0o755)
    entry = next(entry for entry in OWN.entries if entry.name == "valkey")
    (script,) = yaml.safe_load(entry.path.read_text())["services"]["valkey"]["command"]
    script = script.replace("/run/secrets/password", str(tmp_path / "password"))
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False)
