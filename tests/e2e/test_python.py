"""A Python project without a Dockerfile, on real engines: it answers over HTTP."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ..python_project import wheel, write
from .conftest import ROOT, Bundle, docker, get

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.xdist_group("small")]

BASE = "graphbundle/base:12"
FILES = {
    "bundle.yaml": f"""
bundle: greeter
version: 1.0.0
services:
  web:
    build: {{python: ./app, base: "{BASE}", version: "3.11"}}
    expose: {{http: 8000}}
    read_only: true
    healthcheck: {{http: /}}
publish: {{web: web.http}}
""",
    "app/requirements.txt": "tiny-greeting==2.0\n",
    "app/pyproject.toml": """
[project]
name = "greeter"
version = "1"
dependencies = ["tiny-greeting"]
[project.scripts]
greeter = "greeter:run"
""",
    "app/greeter.py": """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import tiny_greeting


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        said = {"text": tiny_greeting.text(), "version": version("tiny-greeting"), "user": [os.getuid(), os.getgid()],
                "python": sys.version_info[:2], "place": os.getcwd()}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())


def run():
    HTTPServer(("", 8000), Answer).serve_forever()
""",
}


@pytest.fixture(scope="module")
def greeter(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a project whose base the engine has."""
    made = subprocess.run([ROOT / "scripts/base-image", BASE], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    folder = write(tmp_path_factory.mktemp("greeter"), FILES)
    wheel(folder / "app/wheels", tmp_path_factory.mktemp("tiny"))
    file = folder / "greeter.tar"
    bundle("build", folder, "-o", file)
    return file


@pytest.mark.parametrize("target", ["docker", "compose"])
def test_a_project_without_a_dockerfile_answers(
    bundle: Bundle, greeter: Path, app: Callable[[str, str], str], target: str
) -> None:
    name = app(f"greeter-{target}", target)
    bundle("deploy", greeter, "-t", target, "--app", name)
    door = bundle("open", name, "-t", target, "--print").out.split()[-1]
    assert json.loads(get(door)) == {
        "text": "well met",
        "version": "2.0",
        "user": [10001, 10001],
        "python": [3, 11],
        "place": "/app",
    }
    assert bundle("deploy", greeter, "-t", target, "--app", name).out.startswith("no changes\n")


def test_its_base_may_be_what_docker_export_writes(
    bundle: Bundle, greeter: Path, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "greeter"
    shutil.copytree(greeter.parent, folder, ignore=shutil.ignore_patterns("greeter.tar"))
    container = docker("create", BASE).strip()
    try:
        docker("export", "-o", str(folder / "debian.tar"), container)
    finally:
        docker("rm", container)
    text = (folder / "bundle.yaml").read_text().replace(BASE, "rootfs:./debian.tar").replace("greeter", "rooted")
    (folder / "bundle.yaml").write_text(text)
    file = tmp_path / "rooted.tar"
    bundle("build", folder, "-o", file)
    with (folder / "debian.tar").open("rb") as tar:
        digest = hashlib.file_digest(tar, "sha256").hexdigest()
    with tarfile.open(file) as packed:
        assert f"blobs/sha256/{digest}" in packed.getnames()
    name = app("rooted", "docker")
    bundle("deploy", file, "-t", "docker", "--app", name)
    answer = json.loads(get(bundle("open", name, "-t", "docker", "--print").out.split()[-1]))
    assert (answer["text"], answer["python"]) == ("well met", [3, 11])


def test_an_unchanged_project_is_not_packed_again_and_the_base_is_asked_for(bundle: Bundle, greeter: Path) -> None:
    assert bundle("build", greeter.parent, "-o", greeter).out.startswith("unchanged ")
    docker("image", "inspect", BASE)
    (greeter.parent / "app/greeter.py").touch()
    again = bundle("build", greeter.parent, "-o", greeter)
    assert again.out.startswith("built ")
    assert "changed since the last build: app" in again.err
