"""What `build: ./dir` depends on, as far as it can be known without BuildKit: the directory's files and the images
that its Dockerfile starts from. Where that cannot be told for certain, BuildKit is asked; it knows in a second."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from bundler.collect.output import Output
from bundler.collect.paths import settled
from bundler.edges.files import open_regular
from bundler.errors import SourceError

MAX_DOCKERFILE_BYTES = 1 << 20
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_FROM_FLAG = re.compile(r"--from=(\S+)")
_MOUNT_FROM = re.compile(r"--mount=\S*\bfrom=([^,\s]+)")
_REMOTE = re.compile(r"(?:https?|git|ssh)(?:://|@)|\$", re.IGNORECASE)  # or what a variable may make one
_DIRECTIVE = re.compile(r"^#\s*(syntax|escape)\s*=\s*(\S*)", re.IGNORECASE | re.MULTILINE)
_KNOWN_SYNTAX = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:[:@]|\Z)")


class UncertainError(Exception):
    """Only BuildKit knows whether anything changed."""


def tag(graph: str, workload: str, platform: str) -> str:
    """The engine's name for what is built, out of everybody else's way."""
    return f"bundle.local/build/{graph}/{workload}:{platform.replace('/', '-')}"


def context_stamp(context: Path, output: Output | None = None) -> str:
    """Changes whenever a file of the directory does that no build made, if they are read after it was taken; "" where
    that cannot be, or something cannot be looked at (BuildKit may not want it: .dockerignore)."""
    digest = hashlib.sha256()
    newest = 0
    try:
        everything = sorted(_everything(context, output))
    except OSError:
        return ""
    for path, found in everything:
        newest = max(newest, found.st_ctime_ns)
        digest.update(_facts(path, found))
    return digest.hexdigest() if settled(newest) else ""


def sync_name(context: Path, output: Output | None = None) -> str:
    """What BuildKit is to know a directory by.

    It keeps what it was sent under the directory's last name, and takes only files again whose size or time is
    another: of two directories called `api`, or of one that an archive was unpacked over, it builds the wrong bytes
    where an archive or a checkout set the times. So the name is the whole place, and every file's state whose time
    was set (to whole seconds); all else is sent as little as ever.
    """
    digest = hashlib.sha256(os.fsencode(context))
    try:
        for path, found in sorted(_everything(context, output)):
            if not stat.S_ISDIR(found.st_mode) and found.st_mtime_ns % 1_000_000_000 == 0:
                digest.update(_facts(path, found))
    except OSError:
        return secrets.token_hex(16)
    return digest.hexdigest()[:32]


def base_images(context: Path) -> frozenset[str]:
    """The images that a build of the directory reads. Raises UncertainError."""
    try:
        fd = open_regular(context / "Dockerfile")
    except SourceError as error:
        raise UncertainError from error
    try:
        with open(fd, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a descriptor, not a path
            text = file.read(MAX_DOCKERFILE_BYTES + 1)
    except OSError as error:
        raise UncertainError from error
    if len(text) > MAX_DOCKERFILE_BYTES:
        raise UncertainError
    directives = {found[1].lower(): found[2] for found in _DIRECTIVE.finditer(text)}
    foreign = "syntax" in directives and not _KNOWN_SYNTAX.match(directives["syntax"])
    if (context / "Dockerfile").is_symlink() or "escape" in directives or foreign:
        raise UncertainError
    return frozenset(_bases(text))


def _bases(text: str) -> Iterator[str]:
    defaults: dict[str, str] = {}
    stages: set[str] = set()
    for number, (word, rest) in enumerate(_instructions(text)):
        match word:
            case "ARG" if not stages:
                for name, _, value in (part.partition("=") for part in rest.split()):
                    defaults[name] = _substituted(value.strip("\"'"), defaults)
            case "FROM":
                parts = [part for part in rest.split() if not part.startswith("--")]
                if not parts:
                    raise UncertainError
                image = _substituted(parts[0], defaults)
                if image.lower() not in {"scratch", *stages}:
                    yield image
                stages.add(parts[2].lower() if len(parts) == 3 else f"#{number}")
            case "ADD" if _REMOTE.search(rest):
                raise UncertainError
            case "COPY" | "ADD" | "RUN" if "<<" in rest:  # what follows is a text, not instructions
                raise UncertainError
            case "COPY" | "ADD" | "RUN":
                for image in (*_FROM_FLAG.findall(rest), *_MOUNT_FROM.findall(rest)):
                    if not image.isdigit() and image.lower() not in stages:
                        yield _substituted(image, defaults)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    waiting = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        waiting += line
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + " "
            continue
        word, _, rest = waiting.strip().partition(" ")
        waiting = ""
        if word:
            yield word.upper(), rest.strip()


def _substituted(text: str, defaults: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[3]
        given = defaults.get(name) or found[2]
        if not given:
            raise UncertainError
        return given

    return _VARIABLE.sub(value, text)


def _facts(path: str, found: os.stat_result) -> bytes:
    facts = [found.st_mode, found.st_ino]
    if not stat.S_ISDIR(found.st_mode):
        facts += [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    return os.fsencode(path) + f"\0{facts}\n".encode()


def _everything(top: Path, output: Output | None) -> Iterator[tuple[str, os.stat_result]]:
    pending = [top]
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if output is not None and output.left_out(directory, entry.name):
                    continue
                yield os.path.relpath(entry.path, top), entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
