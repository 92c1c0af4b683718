"""The use cases of a library's artifact: it is packed, pushed, and pulled into a folder beside a graph.

Reads a folder of components, a tar or a registry. Writes a tar; or the components as plain files. Next: `bundle add`,
`check` and `build` read that folder as any other, so nothing is fetched then, and a version control shows what a pull
has changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bundler.collect import vendored
from bundler.collect.vendored import Changes, Origin
from bundler.edges.files import failure, replace_text
from bundler.errors import GraphError, Problem, SourceError, TargetError, TrustError, UsageError
from bundler.graphfile import component_rules, editing, forms, library
from bundler.graphfile.editing import Addition
from bundler.graphfile.library import Entry
from bundler.graphfile.scope import as_map
from bundler.graphfile.source import parse
from bundler.layout import names
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.library import assemble
from bundler.layout.read import open_layout
from bundler.model.bundle import VerifiedLibrary
from bundler.model.oci import LIBRARY, Digest
from bundler.trust.sign import sign_root
from bundler.trust.verify import verify_library

if TYPE_CHECKING:
    from bundler.collect.reference import Reference
    from bundler.trust.keys import PrivateKey
    from bundler.trust.policy import Policy

FOLDER = "libraries"  # in the graph's, for those that it does not name yet


@dataclass(frozen=True, slots=True)
class Packed:
    """`components` are written NAME@VERSION; `passed_over` are YAML files that are none by their names."""

    path: Path
    root: Digest
    size_bytes: int
    components: tuple[str, ...]
    passed_over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pulled:
    """`name` is what the graph calls it, `before` the version that was there; `line` is what the graph says, or is to
    say where there is none. `named`: it was added now."""

    library: VerifiedLibrary
    name: str
    folder: Path
    before: str | None
    changes: Changes
    line: str
    named: bool


def pack(folder: Path, name: str, version: str, key: PrivateKey, output: Path | None = None) -> Packed:
    """NAME-VERSION.library.tar unless `output` says otherwise. GraphError with every mistake in the components; then
    there is no file, or still the old one."""
    if not re.fullmatch(forms.LABEL, name) or not names.is_version(version):
        raise UsageError(
            f"{name[:80]}:{version[:120]} cannot name a library",
            hint="NAME:VERSION, the name of lower-case letters, digits and dashes: acme:1.0",
        )
    files = {path.name: _read(path) for path in library.files(folder)}
    if not files:
        raise UsageError(f"{folder}: no component is there", hint="a component is a file NAME@VERSION.yaml")
    _check(files, f"{folder}/")
    assembly = assemble(name, version, files)
    output = output or Path(f"{name}-{version}.library.tar")
    with ArchiveWriter(output) as writer:
        writer.finish(assembly, sign_root(assembly.root, names.bundle_repository(name), key))
    passed_over = sorted(one.name for one in folder.glob("*.y*ml") if one.is_file() and one.name not in files)
    return Packed(output, assembly.root.digest, output.stat().st_size, vendored.components(files), tuple(passed_over))


def push(file: Path, place: str) -> tuple[str, Digest]:
    """Where it is now, and its digest. Without a tag in `place`, the library's version is the tag."""
    from bundler.collect.library import push as push_library

    with _registry_errors(), ArchiveReader(file) as reader:
        version = open_layout(reader, LIBRARY).closure.version
        reader.check_every_byte()
        reference = _reference(place if ":" in place.rpartition("/")[2] else f"{place}:{version}")
        if reference.digest is not None:
            raise UsageError(f"{place}: a library is pushed to a tag", hint="HOST/PATH:TAG")
        return str(reference), push_library(reader, reference)


def pull(
    source: str,
    graph: Path,
    policy: Policy,
    *,
    name: str | None = None,
    to: Path | None = None,
    overwrite: bool = False,
) -> Pulled:
    """From a registry or a tar, for the graph's file `graph` (which need not be there), where it is called `name`.
    Nothing of it is parsed or written before it is verified; nothing is written unless all of it is right."""
    found, source = _verified(source, policy)
    _check(found.files, "")
    name = name or found.name
    folder, line, change = _place(graph, name, to)
    before = vendored.origin(folder)
    if before is not None and before.library != found.name:
        raise UsageError(f"{folder} holds the library {before.library}, not {found.name}", hint="--as NAME --to FOLDER")
    made = vendored.changes(folder, before, found.files)
    if made.edited and not overwrite:
        listed = ", ".join(vendored.components(made.edited))
        raise UsageError(
            f"{folder}: edited by hand since it was pulled, or from no pull: {listed}",
            hint="keep them under other names, or --overwrite; nothing was written",
        )
    trusted = tuple(signer.fingerprint for signer in found.signers if signer.trusted)
    files = {file: Digest.of(data) for file, data in found.files.items()}
    vendored.write(folder, made, Origin(found.name, found.version, source, found.root, trusted, files), found.files)
    if change is not None:
        replace_text(graph, *change)
    return Pulled(found, name, folder, None if before is None else before.version, made, line, change is not None)


def _verified(source: str, policy: Policy) -> tuple[VerifiedLibrary, str]:
    """And where it is from: a file's name, or a complete reference."""
    if source.endswith(".tar") or Path(source).is_file():
        with ArchiveReader(Path(source)) as reader:
            return verify_library(reader, policy), Path(source).name
    from bundler.collect.library import fetch
    from bundler.collect.registry import Repository, server
    from bundler.edges.credentials import credentials
    from bundler.edges.http import HttpClient

    reference = _reference(source)
    if ":" not in source.rpartition("/")[2]:
        raise UsageError(f"{source}: which version of the library?", hint=f"{source}:TAG, or {source}@DIGEST")
    with _registry_errors(), TemporaryDirectory(prefix="bundle-library-") as place, HttpClient() as http:
        path = Path(place) / "library.tar"
        login = credentials(server(reference.host))
        fetch(Repository(http, reference, kind="library", login=login), path)
        try:
            with ArchiveReader(path) as reader:
                return verify_library(reader, policy), str(reference)
        except TrustError as error:
            raise TrustError(error.what.replace(str(path), str(reference)), hint=error.hint) from error


def _place(graph: Path, name: str, to: Path | None) -> tuple[Path, str, tuple[str, str] | None]:
    """Where the components go; the line that the graph says; its text before and after, where it has to be written."""
    root = graph.parent
    text = _text(graph) if graph.is_file() else None
    source = None if text is None else parse(text, str(graph))
    if not re.fullmatch(forms.LABEL, name):
        raise UsageError(
            f"{name[:80]} cannot name a library", hint="lower-case letters, digits and dashes, a letter first"
        )
    named = {} if source is None else library.folders(as_map(source.data))
    folder = root / named[name] if name in named and to is None else to or root / FOLDER / name
    inside = os.path.relpath(folder.resolve(), root.resolve())
    if not re.fullmatch(forms.RELATIVE_PATH, inside) or inside == ".":
        raise UsageError(f"{folder} is no folder below the graph's, {root}", hint="--to FOLDER: one that is")
    if name in named and Path(os.path.relpath((root / named[name]).resolve(), root.resolve())) != Path(inside):
        raise UsageError(
            f"the graph's library {name} is {named[name]}", hint="leave --to out, or --as NAME: another name"
        )
    line = f"libraries: {{{name}: ./{inside}}}"
    if text is None or name in named:
        return folder, line, None
    return folder, line, (text, editing.added(text, str(graph), [Addition("libraries", name, f"./{inside}")]))


def _check(files: Mapping[str, bytes], head: str) -> None:
    """Whether each is a component that any graph can use. GraphError with all mistakes."""
    problems: list[Problem] = []
    for name, data in files.items():
        entry = Entry.of(Path(name), f"{head}{name}")
        try:
            problems += component_rules.mistakes(entry.source(data), entry)
        except GraphError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(Problem(f"{head}{name}", error.what.partition(": ")[2]))
    if problems:
        wrong = GraphError(problems, "library")
        wrong.hint = "nothing was written"
        raise wrong


def _reference(text: str) -> Reference:
    from bundler.collect.reference import Reference

    try:
        return Reference.parse(text)
    except ValueError as error:
        raise UsageError(f"{text}: neither a file nor a place in a registry: {error}", hint="HOST/PATH:TAG") from error


@contextmanager
def _registry_errors() -> Iterator[None]:
    """What a registry refuses is no target's refusal here."""
    try:
        yield
    except TargetError as error:
        raise SourceError(error.what, hint=error.hint) from error


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise failure(error, path, "reading") from error
