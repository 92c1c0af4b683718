"""pip, as it is set up where this runs: indexes, mirrors, proxies and credentials are the user's; where a project
brings its wheels, no setting counts. Downloads wheels and runs nothing of what it downloads."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundler.edges import process
from bundler.errors import SourceError

_NONE = re.compile(r"No matching distribution found for (\S+)")
_VERSIONS = re.compile(r"^Available versions: (\S.*)$", re.MULTILINE)
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
    env = {"PIP_REQUIRE_VIRTUALENV": "0"}  # which keeps people from installing; nothing is installed
    asked = [
        *("--disable-pip-version-check", "--no-input", "--implementation", "cp", "--python-version", version),
        *(part for machine in machines for part in ("--platform", machine)),
    ]
    if wheels is not None:
        asked += ["--isolated", "--no-index", "--find-links", str(wheels)]
        env["PIP_CONFIG_FILE"] = os.devnull
    argv = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:", *asked, "--dest", str(into)]
    done = process.run([*argv, "--requirement", str(requirements)], env=env, as_error=SourceError)
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
        name, _, wanted = missing[-1].partition("==")
        there = _versions(name, asked, env)
        if there is not None and _short(wanted) not in map(_short, there):
            raise SourceError(
                f"{what}: {place} has no {name} {wanted} for Python {version} on {where}, neither wheel nor source",
                hint=f"mend the pin in requirements.txt; there is {', '.join(there[:5]) or 'no other version'}",
            )
        raise SourceError(
            f"{what}: {place} has no wheel of {missing[-1]} for Python {version} on {where}",
            hint="what must be compiled wants a Dockerfile (build: ./folder); pip config list shows pip's settings",
        )
    if _HASHES in said:
        raise SourceError(f"{what}: a wheel is not the one that requirements.txt pins by hash", hint=_last(said))
    raise SourceError(f"{what}: pip cannot download the wheels: {_last(said)}")


def version() -> str:
    """Which pip it is. Raises SourceError where there is none."""
    done = process.run([*_pip(), "--version"], as_error=SourceError)
    said = done.stdout.decode("utf-8", "replace").split()
    if done.returncode or len(said) < 2:
        raise SourceError("pip does not start", hint=_last(done.stderr.decode("utf-8", "replace")))
    return said[1]


def _versions(name: str, asked: Sequence[str], env: Mapping[str, str]) -> list[str] | None:
    """Every version of a package that there is, as wheel or source, the newest first; None where pip does not say."""
    done = process.run([*_pip(), "index", "versions", "--pre", *asked, name], env=env, as_error=SourceError)
    if _NONE.search(done.stderr.decode("utf-8", "replace")):
        return []
    listed = _VERSIONS.search(done.stdout.decode("utf-8", "replace"))
    return listed[1].split(", ") if done.returncode == 0 and listed else None


def _short(version: str) -> str:
    """2 is 2.0."""
    return re.sub(r"(?:\.0)+$", "", version)


def _pip() -> list[str]:
    """pip beside this program, else the one on PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return [process.find("pip3", hint="install pip; it downloads the wheels", as_error=SourceError)]


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it says nothing"])[-1]
