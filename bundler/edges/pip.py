"""pip, as it is set up where this runs: indexes, mirrors, proxies and credentials are the user's; where a project
brings its wheels, no setting counts. Downloads wheels and runs nothing of what it downloads."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bundler.edges import process
from bundler.errors import SourceError

_NONE = re.compile(r"No matching distribution found for (\S+)")
_UNREACHED = "after connection broken by"
_HASHES = "DO NOT MATCH THE HASHES"


def download(
    requirements: Path,
    into: Path,
    *,
    machines: Sequence[str],
    version: str,
    wheels: Path | None,
    what: str,
    where: str,
) -> None:
    """The wheels that a requirements.txt pins, for CPython `version` on the first of `machines` that each is there for;
    out of the folder `wheels` alone, where it is given. Raises SourceError, which begins with `what`; `where` is what
    people call the machines."""
    places, env = [], {"PIP_REQUIRE_VIRTUALENV": "0"}  # which keeps people from installing; nothing is installed
    if wheels is not None:
        places = ["--isolated", "--no-index", "--find-links", str(wheels)]
        env["PIP_CONFIG_FILE"] = os.devnull
    argv = [
        *_pip(),
        *("download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"),
        *("--implementation", "cp", "--python-version", version),
        *(part for machine in machines for part in ("--platform", machine)),
        *places,
        *("--dest", str(into), "--requirement", str(requirements)),
    ]
    done = process.run(argv, env=env, as_error=SourceError)
    if done.returncode == 0:
        return
    said = done.stderr.decode("utf-8", "replace")
    place = "the project's folder wheels" if wheels is not None else "the index that pip asks"
    if _UNREACHED in said:
        raise SourceError(
            f"{what}: pip does not reach its index",
            hint="pip config list shows which; without a network, put the wheels into the project's folder wheels",
        )
    if missing := _NONE.findall(said):
        raise SourceError(
            f"{what}: {place} has no wheel of {missing[-1]} for Python {version} on {where}",
            hint="what must be compiled wants a Dockerfile (build: ./folder); pip config list shows pip's settings",
        )
    if _HASHES in said:
        raise SourceError(f"{what}: a wheel is not the one that requirements.txt pins by hash", hint=_last(said))
    raise SourceError(f"{what}: pip cannot download the wheels: {_last(said)}")


def _pip() -> list[str]:
    """pip beside this program, else the one on PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return [process.find("pip3", hint="install pip; it downloads the wheels", as_error=SourceError)]


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it says nothing"])[-1]
