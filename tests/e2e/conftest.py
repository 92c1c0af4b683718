"""The command as a user types it, against the real engine, with keys and cache of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "fixtures" / "small"


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Bundle:
    """Runs `bundle`; `home` holds its keys and its cache."""

    home: Path
    env: dict[str, str]

    def __call__(self, *arguments: str | Path, status: int = 0, cwd: Path | None = None) -> Done:
        argv = [str(Path(sys.executable).parent / "bundle"), *map(str, arguments)]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self.env, cwd=cwd, stdin=subprocess.DEVNULL, timeout=600
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command beside the test."""
        argv = [str(Path(sys.executable).parent / "bundle"), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=self.env)


def bundle_in(home: Path) -> Bundle:
    env = {**os.environ, "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
    return Bundle(home, env)


@pytest.fixture(scope="session")
def engine() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.fail("no Docker engine answers: run scripts/engine up", pytrace=False)


@pytest.fixture(scope="session")
def bundle(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_in(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def small(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small graph's bundle."""
    if not (SMALL / "app" / "app").is_file():
        pytest.fail("the small fixture's program is not built: run scripts/small-prepare", pytrace=False)
    # What a killed run left counts as another's, and a removal would keep it. Another worker may be faster.
    left = docker("image", "ls", "--quiet", "--filter", "reference=bundle.local/small/*").split()
    if left:
        subprocess.run(["docker", "image", "rm", "--force", *set(left)], capture_output=True)
    file = tmp_path_factory.mktemp("bundles") / "small.tar"
    bundle("build", SMALL, "-o", file)
    return file


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
    return done.stdout


def traces(app: str, bundle_name: str) -> set[str]:
    """Every container, network and volume with the app's name in it, every image of the bundle and our own."""
    named = {
        *docker("ps", "-a", "--format", "{{.Names}}").split(),
        *docker("network", "ls", "--format", "{{.Name}}").split(),
        *docker("volume", "ls", "--format", "{{.Name}}").split(),
    }
    images = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    return {one for one in named if app in one} | {
        one for one in images if one.startswith(f"bundle.local/{bundle_name}/")
    }


def get(url: str) -> str:
    """A page's text; an error page's too."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


@pytest.fixture
def app(bundle: Bundle) -> Iterator[Callable[[str, str], str]]:
    """Names an app on a target; it is gone without a trace when the test ends."""
    named: list[tuple[str, str]] = []

    def name(app: str, target: str) -> str:
        named.append((app, target))
        return app

    yield name
    for app_name, target in named:
        subprocess.run(
            [str(Path(sys.executable).parent / "bundle"), "remove", app_name, "-t", target, "--volumes", "--yes"],
            capture_output=True,
            env=bundle.env,
            timeout=120,
        )


@pytest.fixture(scope="session")
def nlp(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The NLP stack's bundle."""
    stack = ROOT / "fixtures" / "nlp"
    if not (stack / "weights" / "minilm" / "model.safetensors").is_file():
        pytest.fail("the NLP stack is not prepared: run scripts/nlp-prepare", pytrace=False)
    file = tmp_path_factory.mktemp("nlp") / "nlp.tar"
    bundle("build", stack, "-o", file)
    return file
