"""What a Python project's requirements.txt pins, and whether that is everything. Nothing here reads anything.

A lock is a requirements.txt with `NAME==VERSION` for every package, as pip freeze, pip-compile, uv and Poetry write it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from bundler.collect.paths import shown
from bundler.errors import SourceError
from bundler.model.oci import Platform

FILE = "requirements.txt"
SOURCE = "requirements.in"  # what a lock is made of, as pip-tools and uv call it
# Of the platforms that images are for, as Python and wheels call them.
MACHINES: Mapping[str, str] = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i686",
    "arm": "armv7l",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_HASH = re.compile(r"\s--hash[= ](sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})(?=\s|$)")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_INDEX = re.compile(r"(?:-i|--index-url|--extra-index-url)[ =]\s*\S+$")
_PROJECT = re.compile(r"(?:(?:-e|--editable)[ =]\s*)?(?:file:)?\.$")  # what `uv export` says of the project itself
_PINNED = re.compile(r"==[^*=,]+$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package. `name` is the normal form of it."""

    name: str
    version: str
    extras: frozenset[str]
    marker: Marker | None
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """As pip reads it."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={digest}" for digest in self.hashes)])


@dataclass(frozen=True, slots=True)
class Lock:
    """`indexes` are pip's options that say where packages come from."""

    pins: tuple[Pin, ...]
    indexes: tuple[str, ...]

    def text(self, platform: Platform, version: str, what: str) -> str:
        """A requirements.txt of what belongs on a platform, in one order; "" where nothing does."""
        pins = {pin.line for pin in self.on(platform, version, what)}
        return "".join(f"{line}\n" for line in [*self.indexes, *sorted(pins)]) if pins else ""

    def on(self, platform: Platform, version: str, what: str) -> tuple[Pin, ...]:
        """The pins that hold on a platform, for a Python such as 3.13 or, where it is known, 3.13.5."""
        there = environment(platform, version)
        return tuple(pin for pin in self.pins if _holds(pin.marker, there, what))


def parse(text: str, what: str, how: str) -> Lock:
    """Raises SourceError, which begins with `what`, for what is not pinned and what no wheel can be; `how` is the hint
    for the first."""
    pins: list[Pin] = []
    indexes: list[str] = []
    loose: list[str] = []
    for line in _lines(text):
        if _PROJECT.match(line):
            continue
        if _INDEX.match(line):
            if "@" in line:
                raise SourceError(
                    f"{what}: {FILE} names an index with credentials, and is packed",
                    hint="give them to pip alone: pip config set global.index-url URL, or ~/.netrc",
                )
            indexes.append(line)
        elif line.startswith("-"):
            raise SourceError(
                f"{what}: {FILE} has the line {shown(line)}",
                hint="it holds NAME==VERSION lines, --hash, --index-url and --extra-index-url alone",
            )
        else:
            pin = _pin(line, what)
            if pin is None:
                loose.append(_HASH.sub("", line).strip())
            else:
                pins.append(pin)
    if loose:
        raise SourceError(f"{what}: {FILE} does not pin {_listed(map(shown, loose))}", hint=how)
    return Lock(tuple(pins), tuple(indexes))


def require_closed(
    pins: Sequence[Pin],
    wants: Mapping[str, Iterable[str]],
    project: Iterable[str],
    platform: Platform,
    version: str,
    what: str,
    how: str,
) -> None:
    """Raises SourceError, with the hint `how`, where a package, or the project itself, needs one that is not pinned, or
    another version. `wants` are the requirements of each pinned package, as its metadata has them."""
    there = environment(platform, version)
    pinned = {pin.name: pin.version for pin in pins}
    pending = deque([("", frozenset[str]()), *((pin.name, pin.extras) for pin in pins)])
    seen: set[tuple[str, str]] = set()
    unmet: dict[str, None] = {}
    while pending:
        owner, extras = pending.popleft()
        asked = [extra for extra in ("", *sorted(extras)) if (owner, extra) not in seen]
        seen |= {(owner, extra) for extra in asked}
        for text in project if not owner else wants.get(owner, ()):
            need = _requirement(text, f"{what}: {owner}" if owner else what)
            if not any(_holds(need.marker, {**there, "extra": extra}, what) for extra in asked):
                continue
            name = normal(need.name)
            if name not in pinned or not need.specifier.contains(pinned[name], prereleases=True):
                unmet[f"{need.name}{need.specifier} (which {owner or 'pyproject.toml'} needs)"] = None
            else:
                pending.append((name, frozenset(need.extras)))
    if unmet:
        raise SourceError(f"{what}: {FILE} does not pin {_listed(unmet)}", hint=how)


def locking(files: Collection[str], version: str, *, stated: bool, loose: bool) -> str:
    """How to write the lock of a project that holds `files`, for its Python, such as 3.13. `stated`: its pyproject.toml
    says what it needs; `loose`: the file that is there pins nothing yet, and becomes the source of the lock."""
    moved = loose and FILE in files and SOURCE not in files
    sources = ["pyproject.toml"] if stated else []
    if moved or SOURCE in files:
        sources.append(SOURCE)
    elif FILE in files:
        sources.append(FILE)
    return (
        "write NAME==VERSION for every package, as uv does (pip install uv), in the project's folder:\n"
        + (f"mv {FILE} {SOURCE} && " if moved else "")
        + f"uv pip compile --universal --generate-hashes --python-version {version} {' '.join(sources)} -o {FILE}"
        + ("" if stated else "\nor pip freeze in a fresh venv")  # which would freeze the project itself too
    )


def of_project(document: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """The requirements that a pyproject.toml itself states. Raises SourceError where they are no list of texts."""
    project = document.get("project")
    found = project.get("dependencies", []) if isinstance(project, dict) else []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise SourceError(
            f"{what}: dependencies of pyproject.toml is no list of requirements",
            hint='write dependencies = ["NAME>=VERSION"]',
        )
    return tuple(found)


def required_python(document: Mapping[str, Any], what: str) -> str:
    """The requires-python of a pyproject.toml, "" where it says none. Raises SourceError for what is none."""
    project = document.get("project")
    text = project.get("requires-python", "") if isinstance(project, dict) else ""
    try:
        SpecifierSet(text if isinstance(text, str) else "none")
    except InvalidSpecifier as error:
        raise SourceError(
            f"{what}: requires-python of pyproject.toml is {shown(str(text))}", hint='write it like ">=3.11"'
        ) from error
    return str(text)


def require_python(required: str, version: str, what: str) -> None:
    """Raises SourceError where a project does not run with a Python such as 3.13.5, or with none of 3.13."""
    exact = version.count(".") > 1
    asked = SpecifierSet(required)
    patches = [version] if exact else [f"{version}.{patch}" for patch in range(100)]
    if not any(asked.contains(patch, prereleases=True) for patch in patches):
        other = "base: …" if exact else 'version: "3.…"'
        raise SourceError(
            f"{what}: pyproject.toml requires Python {shown(required)}, and the image has {version}",
            hint=f"write build: {{python: FOLDER, {other}}}, or mend requires-python",
        )


def elsewhere(document: Mapping[str, Any]) -> bool:
    """Whether a pyproject.toml leaves it to a tool to say what the project needs."""
    project, tools = document.get("project"), document.get("tool")
    dynamic = project.get("dynamic") if isinstance(project, dict) else None
    named = isinstance(dynamic, list) and "dependencies" in dynamic
    return named or (isinstance(tools, dict) and "poetry" in tools)


def normal(name: str) -> str:
    """A package's name as it is compared."""
    return str(canonicalize_name(name))


def environment(platform: Platform, version: str) -> dict[str, str]:
    """What markers are evaluated with: the platform of the image, wherever this runs."""
    full = version if version.count(".") > 1 else f"{version}.0"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": MACHINES.get(platform.architecture, platform.architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": "linux",
        "extra": "",
    }


def _holds(marker: Marker | None, there: Mapping[str, str], what: str) -> bool:
    try:
        return marker is None or marker.evaluate(dict(there))
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise SourceError(f"{what}: the marker {shown(str(marker))} means nothing for an image: {error}") from error


def _lines(text: str) -> Iterator[str]:
    """Logical lines without comments."""
    waiting = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        waiting += _COMMENT.sub("", line)
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + " "
            continue
        if waiting.strip():
            yield waiting.strip()
        waiting = ""
    if waiting.strip():
        yield waiting.strip()


def _pin(line: str, what: str) -> Pin | None:
    """None for a package without one exact version."""
    need = _requirement(_HASH.sub("", line).strip(), what)
    if need.url is not None:
        raise SourceError(
            f"{what}: {FILE} takes {need.name} from {shown(need.url)}, and only wheels of an index are unpacked",
            hint="put its wheel into the project's folder wheels and write NAME==VERSION, or write a Dockerfile",
        )
    if not _PINNED.fullmatch(str(need.specifier)):
        return None
    version = str(need.specifier).removeprefix("==")
    return Pin(normal(need.name), version, frozenset(need.extras), need.marker, tuple(sorted(_HASH.findall(line))))


def _requirement(text: str, what: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise SourceError(
            f"{what}: {shown(text)} is no requirement", hint="write NAME==VERSION; what is no wheel wants a Dockerfile"
        ) from error


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    return ", ".join(every[:8]) + (f" and {len(every) - 8} more" if len(every) > 8 else "")
