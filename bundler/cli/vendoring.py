"""bundle components pack, push, pull: libraries as signed artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import output
from bundler.cli.build import signing_key
from bundler.cli.bundlefile import policy
from bundler.cli.graph import FILE_NAME
from bundler.cli.options import json_option, key_option, unsigned_option
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.model.bundle import Signer


@click.command("pack", short_help="Pack a folder of components into one signed file.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name", metavar="NAME:VERSION")
@click.option(
    "--output",
    "-o",
    "to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="NAME-VERSION.library.tar unless given.",
)
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="The private key to sign with (PEM).")
@json_option
def pack(folder: Path, name: str, *, to: Path | None, key: Path | None, as_json: bool) -> int:
    """Pack the components of FOLDER, its files NAME@VERSION.yaml, as the library NAME:VERSION, signed as a bundle is.

    \b
    bundle components pack ./components acme:1.0
    bundle components push acme-1.0.library.tar registry.example/acme/components
    """
    from bundler import vendoring

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="a library is a folder of NAME@VERSION.yaml")
    title, _, version = name.partition(":")
    signer = signing_key(key)
    made = vendoring.pack(folder, title, version, signer, to)
    if as_json:
        output.answer_json(
            {
                "file": str(made.path),
                "name": title,
                "version": version,
                "digest": made.root.text,
                "size_bytes": made.size_bytes,
                "signers": [signer.public.fingerprint],
                "components": list(made.components),
                "passed_over": list(made.passed_over),
            }
        )
        return 0
    count = output.count(len(made.components), "components")
    output.answer(f"packed {made.path}: {title} {version}, {count}, {output.size(made.size_bytes)}")
    for component in made.components:
        output.answer(f"  {component}")
    output.answer(f"  root {made.root}, signed by {signer.public.fingerprint[:16]}")
    if made.passed_over:
        output.note(f"not packed: {', '.join(made.passed_over)}; a component is a file NAME@VERSION.yaml")
    return 0


@click.command("push", short_help="Push a packed library to a registry.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("place", metavar="HOST/PATH[:TAG]")
@json_option
def push(file: Path, place: str, *, as_json: bool) -> int:
    """Push the packed library FILE with its signatures to a registry, with your `docker login`. The library's version
    is the tag unless one is given."""
    from bundler import vendoring

    if not file.exists():
        raise UsageError(f"there is no file {file}", hint="bundle components pack makes one")
    where, digest = vendoring.push(file, place)
    if as_json:
        output.answer_json({"place": where, "digest": digest.text})
    else:
        output.answer(f"pushed {where}: {digest}")
    return 0


@click.command("pull", short_help="Take a library from a registry or file into a folder beside a graph.")
@click.argument("source")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option("--as", "name", metavar="NAME", help="The library's name in the graph; its own unless given.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder that the graph has for it, else libraries/NAME beside the graph, unless given.",
)
@click.option("--overwrite", is_flag=True, help="Replace components that were edited by hand too.")
@key_option
@unsigned_option
@json_option
def pull(
    source: str,
    directory: Path,
    *,
    name: str | None,
    to: Path | None,
    overwrite: bool,
    key: Path | None,
    insecure_allow_unsigned: bool,
    as_json: bool,
) -> int:
    """Verify the library SOURCE (HOST/PATH:TAG, HOST/PATH@DIGEST or a packed FILE.tar) and write its components as
    plain files beside the graph in DIRECTORY, which names it from then on. Once more, it brings in what has changed;
    a component that was edited by hand stops it.

    \b
    bundle components pull registry.example/acme/components:1.0
    bundle add acme/postgres
    """
    from bundler import vendoring

    if not directory.exists():
        raise UsageError(f"there is no directory {directory}", hint="a graph's; this one unless given")
    if source.endswith(".tar") and not Path(source).exists():
        raise UsageError(f"there is no file {source}", hint="bundle components pack makes one")
    trusted = policy(key, allow_unsigned=insecure_allow_unsigned)
    graph = directory / FILE_NAME if directory.is_dir() else directory
    pulled = vendoring.pull(source, graph, trusted, name=name, to=to, overwrite=overwrite)
    found, made = pulled.library, pulled.changes
    rows = [
        (word, file.removesuffix(".yaml"), "was edited by hand" if file in made.edited else "")
        for word, files in (("added", made.added), ("changed", made.changed), ("removed", made.removed))
        for file in files
    ]
    if as_json:
        output.answer_json(
            {
                "library": pulled.name,
                "version": found.version,
                "before": pulled.before,
                "digest": found.root.text,
                "source": source,
                "folder": str(pulled.folder),
                "signers": [
                    {"fingerprint": one.fingerprint, "name": one.name, "trusted": one.trusted} for one in found.signers
                ],
                **{kind: [each for word, each, _ in rows if word == kind] for kind in ("added", "changed", "removed")},
                "line": pulled.line,
            }
        )
        return 0
    was = f" (it was {pulled.before})" if pulled.before not in (None, found.version) else ""
    output.answer(f"{pulled.name} {found.version}{was} in {pulled.folder}: {found.root}, {_signed(found.signers)}")
    for line in output.table(rows or [("unchanged", output.count(len(found.files), "components"))]):
        output.answer(line)
    if pulled.named:
        output.note(f"{graph} says now: {pulled.line}")
    elif not graph.is_file():
        output.note(f"there is no graph; one beside it says: {pulled.line}")
    return 0


def _signed(signers: tuple[Signer, ...]) -> str:
    shown = [
        f"{one.name or 'unknown key'} ({one.fingerprint[:16]}{'' if one.trusted else ', NOT TRUSTED'})"
        for one in signers
    ]
    return f"signed by {', '.join(shown)}" if shown else "signed by nobody"
