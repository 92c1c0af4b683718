"""bundle keys: whose signatures count here?"""

from __future__ import annotations

import os
from pathlib import Path

import click

from bundler.cli import output, places
from bundler.cli.asking import require_yes
from bundler.cli.options import json_option
from bundler.errors import TrustError, UsageError


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

    keys = KeyStore(places.keys_dir()).listed(passphrase())
    if as_json:
        output.answer_json(
            [
                {
                    "name": one.name,
                    "fingerprint": one.fingerprint,
                    "signs": one.signs,
                    "trusted": one.trusted,
                    "problem": one.problem or None,
                }
                for one in keys
            ]
        )
        return 0
    if not keys:
        output.note("no keys; the first build makes one, bundle keys trust FILE adds somebody's")
    for line in output.table(
        [
            (
                one.name,
                (one.fingerprint or "unknown")[:16].ljust(16),
                "signs" if one.signs else "",
                "trusted" if one.trusted else "",
                one.problem,
            )
            for one in keys
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

    output.answer_text(KeyStore(places.keys_dir()).export(name).decode())
    return 0


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The name to keep it under; the file's name unless given.")
def trust(file: Path, *, name: str | None) -> int:
    """Trust the public key in FILE (PEM) on this machine."""
    from bundler.trust.keys import MAX_KEY_BYTES, KeyStore

    try:
        with file.open("rb") as opened:
            pem = opened.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if len(pem) > MAX_KEY_BYTES or b"PUBLIC KEY-----" not in pem:
        hint = "bundle keys export, where it was built, prints the key to give away"
        raise TrustError(f"{file}: not a public key in PEM", hint=hint)
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
        require_yes(f"{name} can sign; without its private half nobody can sign as it again. Remove it?")
    store.remove(name)
    output.note(f"removed {name}")
    return 0


def passphrase() -> bytes | None:
    """The passphrase of encrypted keys: BUNDLE_KEY_PASSWORD."""
    value = os.environb.get(b"BUNDLE_KEY_PASSWORD")
    return value or None
