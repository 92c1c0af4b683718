"""What a service mounts -> volumes, configs and secrets of the graph.

A path of the machine becomes a config where it is settings that are there, a volume where it is data, and is refused
where it is the machine itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bundler.graphfile import forms
from bundler.importing import keys, scripts
from bundler.importing.naming import Names, renamed
from bundler.importing.process import size
from bundler.importing.project import Data, Files, Project, as_list, as_map, truth
from bundler.importing.report import Report
from bundler.importing.variables import settled

MAX_CONFIG_BYTES = 1 << 20  # what a ConfigMap of Kubernetes holds
MAX_CONFIG_FILES = 100
_SYSTEM = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/usr", "/lib", "/root", "/home", "/var/lib")
_SETTINGS = re.compile(
    r"(?i)\.(?:ya?ml|json|toml|ini|conf|cfg|cnf|xml|properties|env|sql|sh|template|tmpl|tpl|crt|pem|cer|lua|js|py|txt)$"
)
_SETTINGS_DIR = re.compile(r"(?i)conf|init|settings|template|cert|rules|provision|dashboard|scripts?$|\.d$")
OUTSIDE = "it is outside of the Compose file's folder: if it may go along, copy it there and name the copy"
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----")
# How DER begins, behind the header of a SEQUENCE: with a version in the keys of PKCS #1, PKCS #8 and RFC 5915 (0 or 1)
# and in PKCS #12 (3), with an algorithm of PKCS #5 or PKCS #12 in an encrypted key (RFC 5958). A certificate begins
# with a SEQUENCE of another kind, a public key with a longer number. The last one is a key store of Java.
_DER = re.compile(
    rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83...)(?:\x02\x01[\x00\x01\x03]|\x30.\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c])"
    rb"|\xfe\xed\xfe\xed",
    re.DOTALL,
)
_IGNORED = ("z", "Z", "cached", "delegated", "consistent", "nocopy", "rprivate", "private", "rshared", "rslave")
_SHORT = re.compile(r"(?P<source>[^:]+):(?P<target>/[^:]*)(?::(?P<options>[a-zA-Z,]+))?")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a service in Compose's words; `source` is empty for an anonymous volume."""

    kind: str  # bind, volume, tmpfs
    source: str
    target: str
    read_only: bool
    limit: str | None = None
    options: tuple[str, ...] = ()  # that mean nothing in a graph


@dataclass(frozen=True, slots=True)
class Copy:
    """What must lie beside the graph file: a path beside the Compose file -> one beside the graph."""

    source: str
    target: str


@dataclass(slots=True)
class Mounted:
    """What all services mount, as the graph's sections have it."""

    names: Names
    report: Report
    volumes: dict[str, Data] = field(default_factory=dict)
    configs: dict[str, Data] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)  # by the path in the Compose file
    scripts: dict[str, dict[str, str]] = field(default_factory=dict)  # node -> path in it -> what runs it
    keys: dict[str, str] = field(default_factory=dict)  # secret -> the private key's file
    data: set[str] = field(default_factory=set)  # folders that hold no settings, for one service at least
    named: dict[str, str] = field(default_factory=dict)
    _packed: dict[str, str] = field(default_factory=dict)

    def volume(self, key: str, *candidates: str) -> str:
        """The volume of a name of Compose's or a path of the machine, the same for all who mount it."""
        if key not in self.named:
            self.named[key] = name = self.names.take(*candidates)
            self.volumes[name] = {}
            if name != key and key == candidates[0]:
                self.report.changed(f"volumes.{key}", renamed(name))
        return self.named[key]

    def config(self, key: str, data: Data, *candidates: str) -> str:
        if key not in self._packed:
            self._packed[key] = self.names.take(*candidates)
            self.configs[self._packed[key]] = data
        return self._packed[key]

    def key(self, source: str, *candidates: str) -> str:
        """The secret that a private key is."""
        found = next((name for name, file in self.keys.items() if file == source), None)
        name = found or self.names.take(*candidates)
        self.keys[name] = source
        return name


def of(service: Data, where: str, project: Project, report: Report, below: tuple[str, ...] = ()) -> Iterator[Mount]:
    """The mounts that it says itself; those of `volumes_from` come before. `below` are the services that led here."""
    for entry in as_list(service.get("volumes_from")):
        other, _, mode = str(entry).partition(":")
        if other not in project.services or other in below:
            told = "mounts what this one does" if other in below else "is no service of the file"
            report.refused(f"{where}.volumes_from", f"{entry} {told}")
            continue
        report.taken(f"{where}.volumes_from", f"what {other} mounts is written out")
        for each in of(project.services[other], where, project, report, (*below, other)):
            yield Mount(each.kind, each.source, each.target, each.read_only or mode == "ro", each.limit)
    for entry in as_list(service.get("volumes")):
        found = _mount(entry, project)
        if found is None:
            report.refused(f"{where}.volumes", f"{_said(entry)} is no mount that a graph has")
            continue
        for option in found.options:
            report.left_out(f"{where}.volumes", f"{option}: {keys.NO_OPTION}")
        yield found


def _mount(entry: Any, project: Project) -> Mount | None:
    return _long(entry) if isinstance(entry, dict) else _short(settled(str(entry), project.given))


def _said(entry: Any) -> str:
    if isinstance(entry, dict):
        named = " ".join(str(entry[key]) for key in ("type", "source") if entry.get(key))
        subpath = as_map(entry.get("volume")).get("subpath")
        entry = f"{named}{f' (subpath {subpath})' if subpath else ''} at {entry.get('target')}"
    return str(entry)[:80]


def _short(text: str) -> Mount | None:
    if re.fullmatch(r"/[^:]*", text):
        return Mount("volume", "", text, read_only=False)
    found = _SHORT.fullmatch(text)
    if not found:
        return None
    options = (found["options"] or "").split(",")
    kind = "bind" if found["source"].startswith((".", "/", "~")) else "volume"
    if not all(each in ("", "rw", "ro", *_IGNORED) for each in options):
        return None
    ignored = tuple(each for each in options if each in _IGNORED)
    return Mount(kind, found["source"], found["target"], read_only="ro" in options, options=ignored)


def _long(entry: Data) -> Mount | None:
    kind, target = str(entry.get("type", "volume")), str(entry.get("target", ""))
    if (
        kind not in ("bind", "volume", "tmpfs")
        or not target.startswith("/")
        or as_map(entry.get("volume")).get("subpath")
    ):
        return None
    asked = str(as_map(entry.get("tmpfs")).get("size", "0"))
    limit = size(asked)
    if limit is None and asked != "0":
        return None
    return Mount(
        kind, str(entry.get("source") or ""), target, read_only=truth(entry.get("read_only")) is True, limit=limit
    )


def settings(service: Data, project: Project, files: Files) -> Iterator[str]:
    """The texts of single files that a service mounts, which may name others."""
    for entry in as_list(service.get("volumes")):
        found = _mount(entry, project)
        if found and found.kind == "bind" and files.kind(found.source) == "file":
            yield files.text(found.source) or ""


def place(
    mount: Mount, node: str, where: str, mounted: Mounted, context: str | None, files: Files, report: Report
) -> tuple[str, Any] | None:
    """The key of the service that it belongs under, and what stands there; None for what is not taken.
    `context`: the folder that the service's image is built from."""
    path = posixpath.normpath(mount.target)
    suffix = ":ro" if mount.read_only else ""
    if not re.fullmatch(forms.CONTAINER_PATH, path):
        report.refused(f"{where}.volumes", f"{mount.target} is no path that a graph can mount at")
        return None
    if mount.kind == "tmpfs":
        return "tmpfs", {"path": path, "size": mount.limit} if mount.limit else path
    if mount.kind == "bind":
        return _bind(mount, path, suffix, node, where, mounted, context, files, report)
    if mount.source:
        name = mounted.volume(mount.source, mount.source, f"{mount.source}-data", f"{node}-{mount.source}")
    else:
        last = posixpath.basename(path) or "data"
        name = mounted.volume(f"{node}:{path}", f"{node}-{last}", f"{node}-{path}")
        report.changed(f"{where}.volumes", f"the volume at {path} has a name, {name}")
    return "volumes", f"{name}:{path}{suffix}"


def _bind(
    mount: Mount,
    path: str,
    suffix: str,
    node: str,
    where: str,
    mounted: Mounted,
    context: str | None,
    files: Files,
    report: Report,
) -> tuple[str, Any] | None:
    place = f"{where}.volumes"
    source = posixpath.normpath(mount.source)
    if source.endswith(".sock") or source == "/var/run/docker":
        report.refused(place, f"{source}: a graph does not reach the engine or another program of the machine")
        return None
    if source in ("/etc/localtime", "/etc/timezone"):
        report.left_out(place, f"{source}: the time zone of a program is its environment's: TZ")
        return None
    if (
        re.match(r"~(?!/[^.])", source)
        or source == "/"
        or any(source == one or source.startswith(f"{one}/") for one in _SYSTEM)
    ):
        report.refused(place, f"{source} is the machine's; what lies outside is an external")
        return None
    kind = files.kind(source)
    if context is not None and kind == "dir" and (source == context or source.startswith(f"{context}/")):
        report.left_out(place, f"{source} is the folder that the image is built from, and is in it already")
        return None
    if (
        kind is not None
        and source not in mounted.data
        and (packed := _settings(source, kind, path, mount, files)) is not None
    ):
        last = posixpath.basename(source)
        keys = [] if packed else _keys(source, files)
        if keys == [""]:
            name = mounted.key(source, f"{node}-{posixpath.splitext(last)[0]}", f"{node}-{last}")
            report.taken(place, f"{source} is a private key: the secret {name}, which the site gives")
            return "secrets", f"{name}:{path}"
        if keys:
            packed = f"it holds a private key, {keys[0]}, which no bundle should: mount that file by itself"
        if not packed and files.outside(source):
            packed = OUTSIDE
        if packed:
            report.refused(place, f"{source}: {packed}")
            return None
        target = beside(source, mounted.copies, f"configs/{node}")
        name = mounted.config(
            source, {kind: f"./{target.target}"}, f"{node}-{posixpath.splitext(last)[0]}", f"{node}-{last}"
        )
        writable = "" if mount.read_only else "; the program cannot write to it any more"
        report.taken(place, f"{source} is packed as the config {name}{writable}")
        mounted.scripts.setdefault(node, {}).update(scripts.found(source, path, files))
        return "configs", f"{name}:{path}"
    if kind is None and (_SETTINGS.search(source) or posixpath.basename(source).startswith(".env")):
        report.refused(place, f"{source} is not there, and would be a config")
        return None
    last = posixpath.basename(source).lstrip(".") or "data"
    name = mounted.volume(source, f"{node}-{last}", f"{node}-{last}-data")
    what = "; what is in it now is not packed" if kind == "dir" and files.sizes(source)[0] else ""
    report.changed(place, f"{source} is the volume {name}, which the site makes{what}")
    return "volumes", f"{name}:{path}{suffix}"


def is_data(mount: Mount, files: Files) -> bool:
    """Whether a folder of the machine holds what a service makes, and not settings."""
    source, path = posixpath.normpath(mount.source), posixpath.normpath(mount.target)
    bound = mount.kind == "bind" and files.kind(source) == "dir"
    return bound and _settings(source, "dir", path, mount, files) is None


def _settings(source: str, kind: str, path: str, mount: Mount, files: Files) -> str | None:
    """None for data; an empty text for settings that can be packed, else why they cannot."""
    count, size_bytes = files.sizes(source)
    if kind == "dir":
        named = any(_SETTINGS_DIR.search(posixpath.basename(each)) for each in (source, path))
        named = named or all(_SETTINGS.search(each) for each in files.names(source))
        if not count or not (mount.read_only or named or path.startswith("/etc/")):
            return None
    if count > MAX_CONFIG_FILES or size_bytes > MAX_CONFIG_BYTES:
        limit = f"a config holds {MAX_CONFIG_FILES} files and 1 MiB; data goes into a volume, weights into models"
        return f"{count} files with {size_bytes} bytes and more: {limit}"
    return ""


def is_key(data: bytes) -> bool:
    """Whether a private key is in it, or a key store."""
    return bool(_PEM.search(data) or _DER.match(data))


def _keys(source: str, files: Files) -> list[str]:
    """The private keys in a folder by their paths in it; of a file "" where it is one."""
    paths = {name: posixpath.join(source, name) if name else source for name in files.names(source)}
    return [name for name, path in paths.items() if is_key(files.data(path) or b"")]


def beside(source: str, copies: dict[str, Copy], folder: str) -> Copy:
    """Where a file or folder lies beside the graph: at its own place, or in `folder` if it is not below it."""
    inside = not source.startswith(("/", "../", "~")) and source != ".."
    target = source if inside else f"{folder}/{posixpath.basename(source)}"
    return copies.setdefault(source, Copy(source, target))
