"""bundle build: pack a graph and everything it names into one signed file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import completing, output, places
from bundler.cli.graph import graph_file
from bundler.cli.options import json_option, mirror_option, parsed_mirrors, parsed_platform
from bundler.cli.progress import Phases
from bundler.errors import GraphError, UsageError

if TYPE_CHECKING:
    from bundler.pack import BuildResult
    from bundler.trust.keys import PrivateKey


@click.command("build", short_help="Pack a graph and everything it names into one signed file.")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="NAME-VERSION.bundle.tar unless given."
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="linux/amd64, linux/arm64 …; several times for several. The engine's own unless given.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="Pack variants/NAME.yaml beside the graph; several times for several. What they share is stored once.",
    shell_complete=completing.variants,
)
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="The private key to sign with (PEM).")
@click.option("--detached", is_flag=True, help="Write FILE.sig and FILE.sigstore.json too, for cosign and openssl.")
@mirror_option
@json_option
def command(
    directory: Path,
    *,
    output: Path | None,
    platforms: tuple[str, ...],
    variants: tuple[str, ...],
    key: Path | None,
    detached: bool,
    mirrors: tuple[str, ...],
    as_json: bool,
) -> int:
    """Pack the graph in DIRECTORY with its images, configs and weights into one bundle, signed with a key that
    is made on the first build and kept on this machine. Where nothing changed, nothing is done again; else what did
    is told, and the rest is taken out of the bundle that is replaced."""
    result = build(
        directory,
        to=output,
        platforms=platforms,
        variants=variants,
        mirrors=mirrors,
        key=signing_key(key),
        detached=detached,
    )
    _report(result, as_json=as_json)
    return 0


def build(
    directory: Path,
    *,
    to: Path | None,
    platforms: tuple[str, ...],
    variants: tuple[str, ...],
    mirrors: tuple[str, ...],
    key: PrivateKey,
    detached: bool,
) -> BuildResult:
    """Build with progress on stderr."""
    from bundler import pack

    wanted = tuple(parsed_platform(text) for text in platforms)
    taken = parsed_mirrors(mirrors)
    request = pack.BuildRequest(
        graph_file(directory), to, wanted, key, detached, places.cache_dir(), variants=variants, mirrors=taken
    )
    phases = Phases()
    try:
        result = pack.build(request, phases)
    finally:
        phases.close()
    for warning in result.warnings:
        output.note(f"warning: {warning}")
    if result.changed:
        output.note(f"changed since the last build: {', '.join(result.changed)}")
    if not result.unchanged:
        _lint(directory)
    return result


def _lint(directory: Path) -> None:
    """What a variant uses is used, so all of them are looked at; one that is wrong says so when it is built."""
    from bundler.cli import linting
    from bundler.cli.graph import read_graphs
    from bundler.graphfile import variants

    with contextlib.suppress(GraphError, UsageError):
        graphs = read_graphs(directory, variants.names(graph_file(directory).parent))
        for one in linting.found(directory, graphs):
            output.note(f"warning: {one.where}: {one.code} {one.message}")


def signing_key(file: Path | None) -> PrivateKey:
    """The key in a file, or this machine's own, made and trusted on first use."""
    from bundler.cli.keys import passphrase
    from bundler.trust.keys import KeyStore, read_private

    if file is None:
        store = KeyStore(places.keys_dir())
        first = "default" not in store.private_names()
        key = store.default(passphrase())
        if first:
            output.note(f"made a signing key, trusted on this machine: {places.keys_dir() / 'default.key'}")
            output.note("whoever deploys elsewhere needs its public half: bundle keys export > key.pub")
        return key
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", hint="--key takes a private key file (PEM)"
        ) from error
    return read_private(pem, file.stem, passphrase())


def _report(result: BuildResult, *, as_json: bool) -> None:
    if as_json:
        output.answer_json(
            {
                "file": str(result.path),
                "files": [str(path) for path in result.files],
                "name": result.name,
                "version": result.version,
                "root": str(result.root),
                "size_bytes": result.size_bytes,
                "unchanged": result.unchanged,
                "platforms": [str(platform) for platform in result.platforms],
                "signers": list(result.signers),
                "parts": [{"kind": one.kind, "name": one.name, "size_bytes": one.size_bytes} for one in result.parts],
            }
        )
        return
    word = "unchanged" if result.unchanged else "built"
    platforms = ", ".join(str(platform) for platform in result.platforms)
    output.answer(
        f"{word} {result.path}: {result.name} {result.version}, {output.size(result.size_bytes)}, {platforms}"
    )
    if not result.unchanged:
        for line in output.table([(one.kind, one.name, output.size(one.size_bytes)) for one in result.parts]):
            output.answer(line)
        output.answer(f"  root {result.root}, signed by {result.signers[0][:16]}")
