"""bundle keys: whose signatures count here?"""

from __future__ import annotations

import os
from pathlib import Path

import click

from bundler.cli import output, places
from bundler.cli.options import json_option
from bundler.errors import UsageError


@click.group("keys", short_help="Make, list, export and trust signing keys.")
def command() -> None:
    """Make, list, export, trust and remove the keys that sign bundles and the keys that are trusted here."""


@command.command()
@click.argument("name", default="default")
def generate(name: str) -> int:
    """Make a key pair NAME; its public half is trusted on this machine."""
    from bundler.trust.keys import KeyStore

    key = KeyStore(places.keys_dir()).generate(name, passphrase())
    output.answer(f"{name}: {key.public.fingerprint}")
    output.note(f"kept in {places.keys_dir() / name}.key; give others: bundle keys export {name}")
    return 0


@command.command("list")
@json_option
def list_keys(*, as_json: bool) -> int:
    """List the keys that sign here and the keys that are trusted here."""
    from bundler.trust.keys import KeyStore

    store = KeyStore(places.keys_dir())
    trusted = {key.name: key.fingerprint for key in store.trusted()}
    private = set(store.private_names())
    names = sorted(private | {name for name in trusted if name})
    if as_json:
        output.answer_json(
            [
                {"name": name, "fingerprint": trusted.get(name), "signs": name in private, "trusted": name in trusted}
                for name in names
            ]
        )
        return 0
    if not names:
        output.note("no keys; the first build makes one, bundle keys trust FILE adds somebody's")
    for line in output.table(
        [
            (
                name,
                (trusted.get(name) or "")[:16],
                "signs" if name in private else "",
                "trusted" if name in trusted else "",
            )
            for name in names
        ],
        indent="",
    ):
        output.answer(line)
    return 0


@command.command()
@click.argument("name", default="default")
def export(name: str) -> int:
    """Print the public key NAME as PEM."""
    from bundler.trust.keys import KeyStore

    click.echo(KeyStore(places.keys_dir()).export(name).decode(), nl=False)
    return 0


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The name to keep it under; the file's name unless given.")
def trust(file: Path, *, name: str | None) -> int:
    """Trust the public key in FILE (PEM) on this machine."""
    from bundler.trust.keys import KeyStore

    try:
        pem = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    key = KeyStore(places.keys_dir()).trust(pem, name or file.stem)
    output.answer(f"trusted as {key.name}: {key.fingerprint}")
    return 0


@command.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def remove(name: str, *, yes: bool) -> int:
    """Remove the key NAME, its private half too where there is one."""
    from bundler.trust.keys import KeyStore

    store = KeyStore(places.keys_dir())
    if name in store.private_names() and not yes:
        click.confirm(
            f"{name} can sign; without its private half nobody can sign as it again. Remove it?", abort=True, err=True
        )
    store.remove(name)
    output.note(f"removed {name}")
    return 0


def passphrase() -> bytes | None:
    """The passphrase of encrypted keys: BUNDLE_KEY_PASSWORD."""
    value = os.environb.get(b"BUNDLE_KEY_PASSWORD")
    return value or None
