"""Where components come from: the tool's own library, and folders that a graph names.

A component is one file, NAME@VERSION.yaml, that anyone can read and copy. Nothing else in a folder is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundleError, UsageError
from bundler.graphfile import forms
from bundler.graphfile.forms import UseText
from bundler.graphfile.source import Source, parse, quoted
from bundler.graphfile.walk import closest, suggestion

OWN = Path(__file__).parents[1] / "library"
_FILE = re.compile(rf"{forms.LABEL}@{forms.VERSION}\.yaml")


@dataclass(frozen=True, slots=True)
class Entry:
    """A component's file; `shown` is what messages call it."""

    name: str
    version: str
    path: Path
    shown: str

    @classmethod
    def of(cls, path: Path, shown: str) -> Entry:
        """Of a file of that name, whether it is there or not."""
        name, _, version = path.name.removesuffix(".yaml").partition("@")
        return cls(name, version, path, shown)

    def read(self) -> Source:
        """Raises GraphError where the file is no YAML, UsageError where it cannot be read."""
        try:
            return self.source(self.path.read_bytes())
        except OSError as error:
            raise UsageError(f"{self.shown}: {error.strerror}") from error

    def source(self, data: bytes) -> Source:
        """These bytes as its own. Raises GraphError where they are no YAML, UsageError where they are no UTF-8."""
        try:
            text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
            return parse(text, self.shown)
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.shown}: not UTF-8 (byte {error.start})") from error


@dataclass(frozen=True, slots=True)
class Library:
    """The components of one folder, by name, then the newest version first."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, folder: Path, shown: str) -> Library:
        found = [Entry.of(path, f"{shown}/{path.name}") for path in files(folder)]
        found.sort(key=lambda entry: _age(entry.version), reverse=True)
        return cls(tuple(sorted(found, key=lambda entry: entry.name)))

    @classmethod
    def own(cls) -> Library:
        return cls.of(OWN, "library")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.name for entry in self.entries))

    def versions(self, name: str) -> tuple[str, ...]:
        return tuple(entry.version for entry in self.entries if entry.name == name)

    def find(self, name: str, version: str | None) -> Entry | None:
        """The newest of that version: 17 is also 17.5, but not 170."""
        for entry in self.entries:
            if entry.name == name and (version is None or f"{entry.version}.".startswith(f"{version}.")):
                return entry
        return None

    def lacks(self, which: str, asked: UseText) -> tuple[str, str | None]:
        """A message and a hint on a component that is not there."""
        if asked.name in self.names:
            has = ", ".join(self.versions(asked.name))
            return f"{which} has no {asked.name} {asked.version}", f"it has: {has}"
        about = "" if closest(asked.name, self.names) else ", ".join(self._about(asked.name))
        known = f"about {asked.name} there is: {about}" if about else suggestion(asked.name, self.names, "component")
        return f"{which} has no component {quoted(asked.name)}", known

    def _about(self, word: str) -> list[str]:
        """The components whose summaries have this word in them."""
        found = []
        for name in self.names:
            entry = self.find(name, None)
            try:
                data = entry.read().data if entry is not None else None
            except BundleError:
                continue
            summary = str(data.get("summary", "")) if isinstance(data, Mapping) else ""
            if word in re.split(r"[^a-z0-9]+", summary.lower()):
                found.append(name)
        return found


class Libraries:
    """The libraries that a graph in `folder` names, and the tool's own."""

    def __init__(self, folder: Path, graph_file: str = "", own: Library | None = None) -> None:
        self._folder = folder
        self._beside = graph_file.rpartition("/")[0]
        self._own = own

    def named(self, path: str) -> Library | None:
        """The library in a folder beside the graph; None where it is not there, or leads out of the graph's folder."""
        root = self._folder.resolve()
        try:
            real = (root / path).resolve()
            if not real.is_dir() or not real.is_relative_to(root):
                return None
        except (OSError, RuntimeError):  # a name that is too long, or a link to itself
            return None
        return Library.of(real, f"{self._beside}/{path}" if self._beside else path)

    @property
    def own(self) -> Library:
        if self._own is None:
            self._own = Library.own()
        return self._own


def is_file_name(name: str) -> bool:
    """Whether it is NAME@VERSION.yaml."""
    return _FILE.fullmatch(name) is not None


def files(folder: Path) -> list[Path]:
    """The components' files in a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if is_file_name(path.name) and path.is_file())


def folders(data: Mapping[str, object]) -> Mapping[str, str]:
    """The folders that a graph's data names, by the library's name, as far as they are well-formed."""
    named = data.get("libraries")
    if not isinstance(named, Mapping):
        return {}
    return {
        name: forms.relative_path(path)
        for name, path in named.items()
        if isinstance(path, str) and re.fullmatch(forms.RELATIVE_PATH, path)
    }


def used(data: Mapping[str, object]) -> Iterable[tuple[str, UseText]]:
    """The services of a graph's data that use a component, as far as they are well-formed."""
    services = data.get("services")
    for name, service in services.items() if isinstance(services, Mapping) else ():
        text = service.get("use") if isinstance(service, Mapping) else None
        if isinstance(text, str) and re.fullmatch(forms.USE, text):
            yield name, forms.use(text)


def _age(version: str) -> list[tuple[int, int, str]]:
    """Numbers in a version are compared as such; a version with more to it is the newer one, but for a pre-release."""
    parts = re.findall(r"[0-9]+|[A-Za-z]+", version)
    return [(1, int(part), "") if part.isdigit() else (-1, 0, part) for part in parts] + [(0, 0, "")]
