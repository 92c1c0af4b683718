"""The data of Compose files -> a project: the services that run, each with every key in one form.

Settles what Compose settles before it looks at services: several files over each other, profiles, env files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bundler.errors import UsageError
from bundler.importing import keys
from bundler.importing.report import Report
from bundler.importing.variables import MAX_CHARACTERS, listed, named, read_env, settled, several, unread

Data = dict[str, Any]
_MAPS = ("environment", "labels", "depends_on", "extra_hosts", "networks", "sysctls", "annotations")
_NAMES = ("environment", "depends_on")  # maps in which a name alone says something
_PLACED = ("volumes", "configs", "secrets")  # lists in which a path of the container stands once
_ONE_OR_MORE = ("env_file", "tmpfs")  # one text, or a list of them
REPLACED = ("command", "entrypoint")  # lists that do not add up when a service extends another, and that nothing clears


class Files(Protocol):
    """The folder that a Compose file lies in. Paths are as they are written in it."""

    def kind(self, path: str) -> str | None:
        """`file`, `dir`, or None for what is not there."""

    def data(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none of up to 1 MiB."""

    def text(self, path: str) -> str | None:
        """A file's text; None where there is none in UTF-8."""

    def names(self, path: str) -> tuple[str, ...]:
        """The files below a folder by their paths in it, as many as can be packed; a file has one without a name."""

    def sizes(self, path: str) -> tuple[int, int]:
        """How many files a file or folder is, and how many bytes; counting ends soon behind what can be packed."""

    def outside(self, path: str) -> bool:
        """Whether a file, or one below a folder, lies elsewhere than in the Compose file's, by its path or a link."""


@dataclass(frozen=True, slots=True)
class Project:
    """`name` is as Compose writes it, `written` as it is said, or the folder's. `given` are the variables of `.env`,
    and what is settled of services is settled with them."""

    name: str
    written: str
    services: Mapping[str, Data]
    volumes: Mapping[str, Data]
    configs: Mapping[str, Data]
    secrets: Mapping[str, Data]
    given: Mapping[str, str]


def project(
    laid: Sequence[Data],
    folder: str,
    files: Files,
    given: Mapping[str, str],
    profiles: Iterable[str],
    report: Report,
) -> Project:
    """Of one file, or of several, each as `sources` makes it and laid over those before it. UsageError where there is
    no service in them."""
    room = _Room()
    written: dict[str, Data] = {}
    root: Data = {}
    for data in laid:
        keys.account("file", data, "", report)
        own = as_map(data.get("services"))
        for name in own:
            written[name] = over(written.get(name, {}), own[name])
        for key in ("volumes", "configs", "secrets"):
            root[key] = over(root.get(key, {}), as_map(data.get(key)))
        root["name"] = data.get("name") or root.get("name") or folder
        if "networks" in data:
            report.left_out("networks", keys.NETWORKS)
    called = given.get("COMPOSE_PROJECT_NAME") or settled(str(root["name"]), given)
    for section in ("volumes", "configs", "secrets"):
        room.take(root[section], given, section)
    asked = set(profiles) or {each.strip() for each in given.get("COMPOSE_PROFILES", "").split(",") if each.strip()}
    if asked and not profiles:
        report.taken(".env", f"COMPOSE_PROFILES: services of {listed(sorted(asked))} too")
    services = {}
    for name, service in written.items():
        where = f"services.{name}"
        wanted = {settled(each, given) for each in as_list(service.get("profiles"))}
        if wanted and not (wanted | {"*"}) & asked:
            told = f"only with the profile {' or '.join(sorted(wanted))}, as in Compose: --profile {min(wanted)}"
            report.left_out(where, told)
            continue
        service = {key: part for key, part in service.items() if part is not None}
        room.take(service, given, where)
        services[name] = _merged_env(service, where, files, given, room, report)
        keys.account("service", service, where, report)
    if not services:
        raise UsageError("there is no service in the file", hint="a Compose file has services: {NAME: {image: …}}")
    return Project(
        re.sub(r"[^a-z0-9_-]", "", called.lower()).lstrip("_-"),
        called,
        services,
        {name: as_map(part) for name, part in root["volumes"].items()},
        {name: as_map(part) for name, part in root["configs"].items()},
        {name: as_map(part) for name, part in root["secrets"].items()},
        given,
    )


def over(base: Data, more: Data, within: str = "") -> Data:
    """What extends, over what it extends, and a file over those before it: maps merge, lists add up, nothing leaves
    what is there (but for a program and its arguments), anything else replaces. Of two mounts at one path the later
    counts. `within`: the key of both.
    https://docs.docker.com/reference/compose-file/merge/"""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        if value is None and old is not None and within not in _NAMES and key not in REPLACED:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = over(old, value, key)
        elif isinstance(old, list) and isinstance(value, list) and key not in (*REPLACED, "test"):
            taken = {_place(each) for each in value} if key in _PLACED else set()
            kept = [each for each in old if _place(each) not in taken]
            result[key] = kept + [each for each in value if each not in kept]
        else:
            result[key] = value
    return result


def _place(mount: Any) -> str:
    """Where it is in the container."""
    if isinstance(mount, dict):
        return str(mount.get("target") or mount.get("source"))
    source, _, rest = str(mount).partition(":")
    return rest.partition(":")[0] or source


def normal(service: Data) -> Data:
    """A service with lists of `NAME=text` as maps, and what may be one text as it is in full."""
    made = {key: pairs(value) if key in _MAPS else value for key, value in service.items()}
    made |= {key: as_list(made[key]) for key in _ONE_OR_MORE if key in made}
    if isinstance(made.get("build"), str):
        made["build"] = {"context": made["build"]}
    return made


def pairs(value: Any) -> Data:
    """A map, or a list of `NAME=text`, `NAME:text` (hosts) and `NAME` as one; None for a name alone."""
    if not isinstance(value, list):
        return as_map(value)
    made: Data = {}
    for entry in value:
        name, equals, text = str(entry).partition("=")
        if not equals and ":" in name:
            name, equals, text = name.partition(":")
        made[name] = text if equals else None
    return made


@dataclass(slots=True)
class _Room:
    """What is left for the texts of all services, with their variables written out."""

    characters: int = MAX_CHARACTERS

    def take(self, value: Any, given: Mapping[str, str], where: str) -> None:
        """UsageError where a part of the file has texts that are too long for what is left."""
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                self.take(part, given, where)
        elif isinstance(value, str):
            self.characters -= len(settled(value, given))
        if self.characters < 0:
            raise UsageError(
                f"{where}: with it, the texts of the whole file are longer than 1 MiB, which is all that a graph holds",
                hint="put long texts into files that are mounted, or import fewer services",
            )


def _merged_env(service: Data, where: str, files: Files, given: Mapping[str, str], room: _Room, report: Report) -> Data:
    """With the variables of its env files below those that it has itself; theirs are literal, so `$` is doubled."""
    own = as_map(service.get("environment"))
    outer = {**given, **{name: settled(text, given) for name, text in own.items() if isinstance(text, str)}}
    read: dict[str, str] = {}
    found: Data = {}
    for entry in as_list(service.get("env_file")):
        path = settled(str(entry.get("path", "") if isinstance(entry, dict) else entry), given)
        text = files.text(path)
        optional = isinstance(entry, dict) and truth(entry.get("required")) is False
        if text is None and optional:
            report.left_out(f"{where}.env_file", f"{path} is not there, and need not be")
        elif text is None:
            report.refused(f"{where}.env_file", f"{path} is not there, so its variables are missing")
        elif isinstance(entry, dict) and entry.get("format") not in (None, ""):
            told = f"{path}: the format {entry['format']} is not read: write its variables under environment"
            report.refused(f"{where}.env_file", told)
        else:
            more = read_env(text, outer, read)
            room.take(more, {}, f"{where}.env_file: {path}")
            refuse_unread(text, path, f"{where}.env_file", report)
            read |= {name: part for name, part in more.items() if part is not None}
            found |= {name: None if part is None else part.replace("$", "$$") for name, part in more.items()}
            report.taken(f"{where}.env_file", f"the variables of {path} are written out")
            if names := named(text, outer):
                report.changed(f"{where}.env_file", f"{path}: {several(names)} decided now")
    return {**service, "environment": {**found, **own}}


def refuse_unread(text: str, path: str, where: str, report: Report) -> None:
    """Of an env file. What stands there is not told: it may be half a secret."""
    if lines := unread(text):
        numbers = ", ".join(map(str, lines[:8])) + (" and more" if len(lines) > 8 else "")
        report.refused(
            where, f"{path} sets no variable in line {numbers}: write NAME=TEXT, a text of several in quotes"
        )


def as_map(value: Any) -> Data:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A list; one thing as a list of it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def natural(value: Any, most: int) -> int | None:
    """A number from 0 to `most` in decimal digits; None for what is none."""
    return int(value) if re.fullmatch("[0-9]{1,9}", str(value)) and int(value) <= most else None


def truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
