"""Volumes, configs and secrets: what services mount, and what the file declares of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from bundler.graphfile import forms
from bundler.importing import keys, mounts
from bundler.importing.addresses import Addresses
from bundler.importing.confidential import shown
from bundler.importing.mounts import Mounted
from bundler.importing.naming import renamed
from bundler.importing.project import Data, Files, Project, as_list, truth
from bundler.importing.report import Report
from bundler.importing.texts import Knobs
from bundler.importing.variables import settled

_SECRETS = "/run/secrets"
_KEPT = ("/.bundle", "/proc", "/sys", "/dev")


@dataclass(slots=True)
class Stored:
    mounts: Mounted
    project: Project
    files: Files
    report: Report
    knobs: Knobs
    addresses: Addresses
    outside: Set[str]  # nodes that are no services
    texts: dict[str, list[str]] = field(default_factory=dict)  # where -> those of files that are packed as they are
    _secrets: dict[str, str] = field(default_factory=dict)
    _configs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, service in self.project.services.items():
            found = mounts.of(service, f"services.{name}", self.project, Report())
            self.mounts.data |= {posixpath.normpath(each.source) for each in found if mounts.is_data(each, self.files)}

    def mounted(self, name: str, node: str, service: Data, context: str | None, tmpfs: Sequence[Any]) -> Data:
        """The keys of a service for what it mounts, `tmpfs` too; what comes later at a path replaces what was there."""
        where = f"services.{name}"
        by_path: dict[str, tuple[str, Any]] = {}
        for each in tmpfs:
            self._replace(by_path, each["path"] if isinstance(each, dict) else each, ("tmpfs", each), f"{where}.tmpfs")
        for mount in mounts.of(service, where, self.project, self.report):
            found = mounts.place(mount, node, where, self.mounts, context, self.files, self.report)
            path = posixpath.normpath(mount.target)
            secret = found is not None and found[0] == "secrets" and path != _SECRETS
            kept = _KEPT if secret else (_SECRETS, *_KEPT)
            if found and any(path == one or path.startswith(f"{one}/") for one in kept):
                self.report.refused(f"{where}.volumes", f"{path} belongs to the system or the tool in every container")
            elif found:
                self._replace(by_path, path, found, f"{where}.volumes")
                if found[0] == "configs":
                    names = (posixpath.join(mount.source, each).rstrip("/") for each in self.files.names(mount.source))
                    self._misnamed(f"{where}.volumes", {each: self.files.text(each) or "" for each in names})
        for entry in as_list(service.get("configs")):
            if found := self._config(entry, where):
                self._replace(by_path, found[0], ("configs", f"{found[1]}:{found[0]}"), f"{where}.configs")
        for entry in as_list(service.get("secrets")):
            if text := self._secret(entry, where):
                path = text.partition(":")[2] or f"{_SECRETS}/{text}"
                self._replace(by_path, path, ("secrets", text), f"{where}.secrets")
        made: Data = {}
        for key, text in by_path.values():
            made.setdefault(key, []).append(text)
        return made

    def _replace(self, by_path: dict[str, tuple[str, Any]], path: str, found: tuple[str, Any], where: str) -> None:
        if by_path.get(path, found) != found:
            self.report.changed(where, f"{path} is mounted twice, and what comes later counts")
        by_path[path] = found

    def _misnamed(self, where: str, texts: Mapping[str, str]) -> None:
        """`texts`: what they are called -> those of files that are packed as they are."""
        self.texts.setdefault(where, []).extend(texts.values())
        for file, text in texts.items():
            for host, node in self.addresses.named(text).items():
                told = f"is {node} here: write {node} there" if node != host else ""
                told = "lies outside: no packed file is told where" if node in self.outside else told
                if told:
                    self.report.refused(where, f"{file} names {host}, which {told}")

    def secrets(self, site: Data) -> dict[str, Data]:
        """Those that the file declares; where they come from goes into the site file."""
        for name, made in self._secrets.items():
            source = self.project.secrets.get(name, {})
            if path := source.get("file"):
                path = settled(str(path), self.project.given)
                site.setdefault("secrets", {})[made] = {"file": path}
                if self.files.kind(path) != "file":
                    self.report.changed(
                        f"secrets.{name}.file", f"{path} is not there: the site file names it all the same"
                    )
            elif variable := source.get("environment"):
                site.setdefault("secrets", {})[made] = {"env": str(variable)}
            told = f"the secret {made}, which the site gives"
            if name == made:
                self.report.taken(f"secrets.{name}", told)
            else:
                self.report.changed(f"secrets.{name}", f"{renamed(made)}; the site gives it")
        for section, used in (
            ("secrets", self._secrets),
            ("configs", self._configs),
            ("volumes", self.mounts.named),
        ):
            for name in getattr(self.project, section):
                if name not in used:
                    self.report.left_out(f"{section}.{name}", "nothing in the graph mounts it")
        for volume, options in self.project.volumes.items():
            self._options(volume, options)
        for made, file in self.mounts.keys.items():
            site.setdefault("secrets", {})[made] = {"file": file}
        return {made: {} for made in (*self._secrets.values(), *self.mounts.keys)}

    def _secret(self, entry: Any, where: str) -> str | None:
        said = entry if isinstance(entry, dict) else {"source": entry}
        name = str(said.get("source"))
        if name not in self.project.secrets:
            self.report.refused(f"{where}.secrets", f"there is no secret {name} in the file")
            return None
        if name not in self._secrets:
            self._secrets[name] = self.mounts.names.take(name, f"{name}-secret")
        made = self._secrets[name]
        target = str(said.get("target") or name)
        path = target if target.startswith("/") else f"/run/secrets/{target}"
        if not re.fullmatch(forms.SECRET_MOUNT, f"{made}:{path}"):
            self.report.refused(f"{where}.secrets", f"{path} is no path that a graph can mount at")
            return None
        return made if path == f"/run/secrets/{made}" else f"{made}:{path}"

    def _config(self, entry: Any, where: str) -> tuple[str, str] | None:
        """The path, and the config's name."""
        said = entry if isinstance(entry, dict) else {"source": entry}
        name = str(said.get("source"))
        source = self.project.configs.get(name)
        path = str(said.get("target") or f"/{name}")
        place = f"configs.{name}"
        self._configs.add(name)
        if source is None or not re.fullmatch(forms.CONTAINER_PATH, path):
            self.report.refused(f"{where}.configs", f"there is no config {name} for {path}")
            return None
        file = posixpath.normpath(settled(str(source.get("file", "")), self.project.given))
        if mounts.is_key(str(source.get("content") or "").encode("utf-8") or self.files.data(file) or b""):
            self.report.refused(place, "it is a private key, which no bundle should hold: declare it under secrets")
            return None
        if "content" in source:
            data: Data = {"content": self.knobs.text(str(source["content"]), place)}
            self._misnamed(place, {"its text": data["content"]})
        elif self.files.kind(file) == "file":
            if self.files.outside(file):
                self.report.refused(place, f"{file}: {mounts.OUTSIDE}")
                return None
            self._misnamed(place, {file: self.files.text(file) or ""})
            data = {"file": f"./{mounts.beside(file, self.mounts.copies, 'configs').target}"}
        else:
            told = f"{file} is not there" if source.get("file") else "neither its text nor its file is said"
            self.report.refused(place, f"{told}; a config of a graph is packed: write file or content")
            return None
        made = self.mounts.config(f"config {name}", data, name, f"{name}-config")
        if made == name:
            self.report.taken(place, "a config of the graph")
        else:
            self.report.changed(place, renamed(made))
        return path, made

    def _options(self, name: str, options: Data) -> None:
        """What a volume is at a place is the site's."""
        opts = options.get("driver_opts")
        if truth(options.get("external", False)) is not False:
            told = "the volume is a new one here; data from elsewhere is brought in by a job"
            self.report.changed(f"volumes.{name}.external", told)
        if isinstance(opts, dict) and "device" in opts:
            told = f"{shown(str(opts['device']), self.project.given)} is the site's; the volume is a new one here"
            self.report.changed(f"volumes.{name}.driver_opts", told)
        elif opts:
            self.report.left_out(f"volumes.{name}.driver_opts", keys.STORAGE)
