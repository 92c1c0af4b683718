"""The files that a Compose file names: those that it includes, and those whose services its own extend.

Reads: a file's text, and through `Files` the others. Writes: one map for each file that was given, with all that it
includes and every `extends` written out, and with paths from the folder of the first. Next: `project`.
https://docs.docker.com/reference/compose-file/include/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bundler.errors import UsageError
from bundler.importing import keys, yamltext
from bundler.importing.confidential import shown
from bundler.importing.project import Data, Files, as_list, as_map, normal, over, refuse_unread
from bundler.importing.report import Report
from bundler.importing.shape import SECTIONS, shaped
from bundler.importing.variables import Given, listed, read_env, settled, several, variables

MAX_FILES = 200  # that are included, those that are so several times counted each time
MAX_EXTENDED = 64  # services in a row
_NAMED = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_ELSEWHERE = re.compile(r"/|~|git@|[a-z]+:")


@dataclass(frozen=True, slots=True)
class _File:
    """`folder` is what its paths are from; `above` are the files that include each other down to it, itself too."""

    path: str
    folder: str
    above: tuple[str, ...]
    data: Data


@dataclass(slots=True)
class Sources:
    files: Files
    report: Report
    _mine: dict[str, str] = field(default_factory=dict)  # the variables of `.env`
    _set: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)  # others: above, and value
    _setters: dict[str, str] = field(default_factory=dict)  # others: the file that sets it
    _users: dict[tuple[str, tuple[str, ...]], set[str]] = field(default_factory=dict)  # file, above -> variables
    _read: dict[tuple[str, str, tuple[str, ...]], _File] = field(default_factory=dict)
    _included: int = 0

    def __post_init__(self) -> None:
        env = self.files.text(".env") or ""
        self._mine = {name: value for name, value in read_env(env, {}).items() if value is not None}
        refuse_unread(env, ".env", ".env", self.report)

    def whole(self, text: str, path: str) -> Data:
        """One of the files that are given. UsageError where it, or one that it names, is no Compose file."""
        return self._whole(self._data(text, _File(path, "", (path,), {})))

    def given(self) -> Given:
        """The variables of `.env`, and of the env files of what was included."""
        made = Given(self._mine)
        made.files = self._setters
        known = {above: self._visible(above) for _, above in self._users}
        for name, values in self._set.items():
            users = [(path, above) for (path, above), names in self._users.items() if name in names]
            meant = {known[above].get(name): path for path, above in users} or {values[0][1]: ""}
            if len(meant) > 1:
                told = f"{name} is not the same in {listed(sorted(meant.values()))}, by the env file beside one of them"
                self.report.refused("include", f"{told}: give it another name there")
            if (value := next(iter(meant))) is not None:
                made[name] = value
        return made

    def _visible(self, above: tuple[str, ...]) -> dict[str, str]:
        """The variables that hold in a file: what is set further out first."""
        made = dict(self._mine)
        for name, values in self._set.items():
            found = next((value for scope, value in values if above[: len(scope)] == scope), None)
            made |= {name: found} if found is not None else {}
        return made

    def _whole(self, file: _File) -> Data:
        model = {key: part for key, part in file.data.items() if key != "include"}
        entries = file.data.get("include")
        if entries is not None and not isinstance(entries, list):
            self.report.refused("include", f"expected a list of texts and maps, in {file.path}")
            entries = None
        for entry in as_list(entries):
            more, path = self._include(entry, file)
            for section in SECTIONS:
                old, new = as_map(more.get(section)), as_map(model.get(section))
                for name in (name for name in new if name in old and new[name] != old[name]):
                    told = f"{path} has it too, and this is laid over it, as newer Compose does; older ones refuse that"
                    self.report.changed(f"{section}.{name}", told)
            model = over(more, model)
        extending = replace(file, data=model)
        extended = {name: self._extended(extending, name, f"services.{name}.extends", ()) for name in _services(model)}
        return {**model, "services": extended}

    def _include(self, entry: Any, file: _File) -> tuple[Data, str]:
        """What an entry brings, and the first file of it."""
        said = {"path": entry} if isinstance(entry, str) else as_map(entry)
        keys.account("include", said, "include", self.report)
        named = [each for each in as_list(said.get("path")) if isinstance(each, str)]
        paths = [self._from(file, each, "include") for each in named]
        if not paths:
            told = "expected the path of a file, or a map with path, project_directory and env_file"
            self.report.refused("include", f"{told}, in {file.path}")
            return {}, ""
        above = (*file.above, paths[0])
        if paths[0] in file.above:
            self.report.refused("include", f"a file includes itself: {' > '.join(above)}")
            return {}, ""
        self._included += 1
        if self._included > MAX_FILES:
            raise UsageError(f"{file.path}: with it, more than {MAX_FILES} files are included")
        folder = posixpath.dirname(paths[0])
        if isinstance(said.get("project_directory"), str):
            folder = self._from(file, said["project_directory"], "include")
            folder = "" if folder == "." else folder
        self._set_variables(said, file, folder, above)
        made: Data = {}
        for path in paths:
            found = self._file(_File(path, folder, above, {}), "include", "what it holds is missing")
            if found:
                keys.account("file", found.data, "", self.report)
                if "name" in found.data:
                    self.report.left_out("name", f"that of {path}: what is included is of this project")
                more = self._whole(found)
                made = over(made, {section: more[section] for section in SECTIONS if section in more})
        brought = [f"{section} {', '.join(part)}" for section, part in made.items() if part]
        if brought:
            self.report.taken("include", f"{listed(paths)}: its {', its '.join(brought)}")
        return made, paths[0]

    def _set_variables(self, said: Data, file: _File, folder: str, above: tuple[str, ...]) -> None:
        """Those of its env files; what is set further out holds."""
        named = [each for each in as_list(said.get("env_file")) if isinstance(each, str) and each != "/dev/null"]
        paths = [self._from(file, each, "include") for each in named]
        beside = posixpath.join(folder, ".env")
        if not said.get("env_file") and folder and self.files.kind(beside) == "file":
            paths = [beside]
        known, found = self._visible(above), dict[str, str]()
        for path in paths:
            text = self.files.text(path)
            if text is None:
                self.report.refused("include", f"{path} is not there, so its variables are missing")
                continue
            refuse_unread(text, path, "include", self.report)
            read = read_env(text, known, found).items()
            new = {name: value for name, value in read if value is not None and name not in known}
            new = {name: value for name, value in new.items() if not name.startswith("COMPOSE_")}
            found |= new
            self._setters |= dict.fromkeys(new, path)
            told = f"sets {', '.join(new)}" if new else "sets nothing that is not set further out"
            self.report.taken("include", f"{path} {told} for {above[-1]}")
        for name, value in found.items():
            self._set.setdefault(name, []).append((above, value))

    def _extended(self, file: _File, name: str, where: str, below: tuple[tuple[str, str], ...]) -> Data:
        """A service with all that it extends; `below` are the files and services that extend it."""
        service = dict(_services(file.data)[name])
        extends = service.pop("extends", None)
        if extends is None:
            return service
        said = as_map(extends) or {"service": extends}
        keys.account("extends", said, where, self.report)
        other, base = said.get("service"), file
        if isinstance(said.get("file"), str):
            path = self._from(file, said["file"], where)
            named = _File(path, posixpath.dirname(path), file.above, {})
            found = self._file(named, where, f"what {other} says there is missing")
            if found is None:
                return service
            base = found
        place, chain = "" if base.path == file.above[0] else f" of {base.path}", (*below, (file.path, name))
        if not isinstance(other, str) or other not in _services(base.data):
            self.report.refused(where, f"there is no service {other}{place} that it could extend")
            return service
        if (base.path, other) in chain or len(chain) > MAX_EXTENDED:
            told = "a service extends itself" if len(chain) <= MAX_EXTENDED else f"more than {MAX_EXTENDED} in a row"
            row = " > ".join(f"{each} of {path}" for path, each in (*chain, (base.path, other))[-8:])
            self.report.refused(where, f"{told}: {row}")
            return service
        self.report.taken(where, f"what {other}{place} says is written out")
        return over(self._extended(base, other, where, chain), service)

    def _file(self, file: _File, where: str, missing: str) -> _File | None:
        """With its data; None where it is not there."""
        key = (file.path, file.folder, file.above)
        if key not in self._read:
            text = self.files.text(file.path)
            if text is None:
                told = "lies elsewhere, and nothing is fetched" if ":" in file.path else "is not there"
                self.report.refused(where, f"{file.path} {told}: {missing}")
                return None
            self._read[key] = self._data(text, file)
        return self._read[key]

    def _data(self, text: str, file: _File) -> _File:
        data = shaped(yamltext.read(text, file.path), yamltext.positions(text, file.path), self.report)
        data |= {"services": {name: normal(service) for name, service in _services(data).items()}}
        self._users.setdefault((file.path, file.above), set()).update(_names(data))
        if file.folder:
            data["services"] = {name: self._moved(each, file, name) for name, each in data["services"].items()}
            for section in ("configs", "secrets"):
                for name, part in as_map(data.get(section)).items():
                    if isinstance(as_map(part).get("file"), str):
                        path = self._beside(file, part["file"], f"{section}.{name}")
                        data[section] = {**data[section], name: {**part, "file": path}}
        return replace(file, data=data)

    def _moved(self, service: Data, file: _File, name: str) -> Data:
        """With its paths from the folder of the first file."""
        where, made = f"services.{name}", dict(service)
        if build := as_map(service.get("build")):
            made["build"] = {**build, "context": self._beside(file, str(build.get("context", ".")), f"{where}.build")}
        if "env_file" in service:
            place = f"{where}.env_file"
            made["env_file"] = [
                {**each, "path": self._beside(file, str(each.get("path", "")), place)}
                if isinstance(each, dict)
                else self._beside(file, each, place)
                for each in service["env_file"]
            ]
        if "volumes" in service:
            made["volumes"] = [self._mount(each, file, f"{where}.volumes") for each in service["volumes"]]
        return made

    def _mount(self, mount: Any, file: _File, where: str) -> Any:
        if isinstance(mount, dict):
            bound = mount.get("type") == "bind" and isinstance(mount.get("source"), str)
            return {**mount, "source": self._beside(file, mount["source"], where)} if bound else mount
        text = self._decided(mount, file, where)
        source, colon, rest = text.partition(":")
        return f"{self._beside(file, source, where)}{colon}{rest}" if colon and source.startswith(".") else text

    def _beside(self, file: _File, path: str, where: str) -> str:
        """A path of a file as it is from the folder of the first one."""
        made = self._from(file, path, where).replace("$", "$$")
        return made if _ELSEWHERE.match(made) or made.startswith("../") else f"./{made}"

    def _from(self, file: _File, path: str, where: str) -> str:
        text = settled(self._decided(path, file, where), {})
        return text if _ELSEWHERE.match(text) else posixpath.normpath(posixpath.join(file.folder, text))

    def _decided(self, text: str, file: _File, where: str) -> str:
        """The text with what its variables say, which no site is asked for."""
        names = list(dict.fromkeys(one.name for one in variables(text)))
        if not names:
            return text
        given = self._visible(file.above)
        place = f", in {file.path}" if file.path != file.above[0] else ""
        self.report.changed(where, f"{several(names)} decided now: {shown(text, given) or 'nothing'}{place}")
        return settled(text, given).replace("$", "$$")


def _services(data: Data) -> Data:
    return as_map(data.get("services"))


def _names(value: Any) -> Iterator[str]:
    """The variables that texts name, or that an environment passes on."""
    if isinstance(value, dict):
        yield from (name for name, part in as_map(value.get("environment")).items() if part is None)
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _names(part)
    elif isinstance(value, str):
        yield from _NAMED.findall(value)
