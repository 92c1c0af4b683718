"""bundle verify: is every byte what its signer signed?"""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli import output
from bundler.cli.bundlefile import policy, verified
from bundler.cli.options import file_argument, json_option, key_option, unsigned_option


@click.command("verify", short_help="Check every byte of a bundle and its signatures.")
@file_argument
@key_option
@unsigned_option
@json_option
def command(file: Path, *, key: Path | None, insecure_allow_unsigned: bool, as_json: bool) -> int:
    """Check every byte of the bundle FILE and its signatures. Exit status 5 when anything is not as signed."""
    with verified(file, policy(key, allow_unsigned=insecure_allow_unsigned)) as (checked, reader):
        bundle = checked.bundle
        if as_json:
            output.answer_json(
                {
                    "verified": True,
                    "file": str(file),
                    "size_bytes": reader.size_bytes,
                    "root": str(bundle.root.digest),
                    "name": bundle.graph.name,
                    "version": bundle.graph.version,
                    "unsigned_allowed": checked.unsigned_allowed,
                    "signers": [
                        {"fingerprint": one.fingerprint, "name": one.name, "trusted": one.trusted}
                        for one in checked.signers
                    ],
                }
            )
            return 0
        output.answer(f"{file}: every byte of {bundle.graph.name} {bundle.graph.version} is as signed")
        output.answer(f"  root    {bundle.root.digest}")
        for one in checked.signers:
            trust = "" if one.trusted else ", NOT TRUSTED"
            output.answer(f"  signer  {one.name or 'unknown key'} ({one.fingerprint[:16]}{trust})")
        if not checked.signers:
            output.answer("  signer  none: accepted because of --insecure-allow-unsigned")
    return 0
