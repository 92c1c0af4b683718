"""bundle secrets: which secrets does an app have, and where are they from?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bundler import deploy
from bundler.cli import output
from bundler.cli.asking import answer, can_ask, require_yes
from bundler.cli.deploying import carry_out
from bundler.cli.options import app_argument, json_option, open_target, same_place, target_option, yes_option
from bundler.cli.site import warn_of_newline
from bundler.errors import UsageError
from bundler.release.secrets import generated

_ORIGINS = {
    "generated": "made at the site",
    "file": "a file of the site",
    "env": "a variable of the site",
    "kubernetes": "a Secret of the cluster",
    "typed": "typed at a terminal",
    "set": "bundle secrets set",
    "": "not noted",
}


class _Length(click.IntRange):
    name = "length: a number from 1 to 4096"  # in click's own message


@click.group("secrets", short_help="List the secrets that an app keeps, and set one.")
def command() -> None:
    """List and set the secrets that a target keeps for an app. No value is ever shown."""


@command.command("list", short_help="List an app's secrets, where they are from and who uses them.")
@app_argument
@target_option
@json_option
def list_secrets(app: str, *, target: str | None, as_json: bool) -> int:
    """List the secrets of APP: where each came from at the last deploy, its revision (another one for other bytes), and
    which services and jobs it goes into. No value is shown."""
    place = open_target(target)
    rows = [_row(one) for one in deploy.listed_secrets(place, app)]
    if as_json:
        output.answer_json(rows)
        return 0
    if not rows:
        output.note(f"{app} has no secrets")
        return 0
    shown = [("SECRET", "FROM", "REVISION", "GOES INTO", "")]
    shown += [
        (
            str(row["name"]),
            _ORIGINS.get(str(row["from"] or ""), str(row["from"])),
            str(row["revision"] or "not kept"),
            ", ".join(map(str, row["goes_into"] if isinstance(row["goes_into"], list) else ())) or "nothing now",
            "" if row["deployed"] else "the next deploy brings it in",
        )
        for row in rows
    ]
    for line in output.table(shown, indent=""):
        output.answer(line)
    return 0


def _row(one: deploy.ListedSecret) -> dict[str, object]:
    return {
        "name": one.name,
        "from": one.origin or None,
        "revision": one.revision,
        "goes_into": list(one.users),
        "deployed": one.deployed,
    }


@command.command("set", short_help="Keep other bytes for a secret of an app.")
@app_argument
@click.argument("name")
@click.option("--from", "source", metavar="FILE", help="The bytes; - for standard input. Asked for unless given.")
@click.option("--generate", type=_Length(1, 4096), metavar="LENGTH", help="Make so many random characters.")
@target_option
@yes_option
def set_secret(app: str, name: str, *, source: str | None, generate: int | None, target: str | None, yes: bool) -> int:
    """Keep other bytes for the secret NAME of APP, in place of those that the target keeps. What runs goes on with the
    old ones until the next deploy, which starts anew what uses the secret.

    \b
    bundle secrets set search api-key --from ./api-key.txt -t docker
    bundle deploy search.bundle.tar -t docker

    A program that has noted a password elsewhere, such as a database in its volume, must be told itself.
    """
    place = open_target(target)
    if source is not None and generate is not None:
        raise UsageError("--from and --generate are two ways to the bytes", hint="give one of them")
    if source is None and generate is None and not can_ask():
        raise UsageError(f"no bytes for {name}", hint="--from FILE, --from - for standard input, or --generate LENGTH")
    known = next((one for one in deploy.listed_secrets(place, app) if one.name == name), None)
    value = _bytes(name, source) if generate is None else generated(generate)
    ready = deploy.prepare_secret(place, app, name, value)
    if not ready.plan.steps:
        output.answer(f"no changes: {app} keeps these bytes for {name} already")
        return 0
    if known is not None and known.revision is not None and not yes and can_ask():
        require_yes(f"The bytes that {app} on {place.name} keeps for {name} will be lost. Go on?")
    carry_out(ready, None)
    used = next((one.users for one in deploy.listed_secrets(place, app) if one.name == name), ())
    output.answer(f"{app} on {place.name} keeps other bytes for {name}")
    if used:
        output.note(f"the next deploy brings them to {', '.join(used)}:")
        output.note(f"  bundle deploy FILE --app {app} --target {place.name}{same_place()}")
        output.note("what has noted the old bytes elsewhere, as a database does in its volume, must be told itself")
    if known is not None and known.origin in ("file", "env", "kubernetes"):
        output.note(
            f"warning: at the last deploy, {name} came from {_ORIGINS[known.origin]}, which would bring its own again"
        )
    return 0


def _bytes(name: str, source: str | None) -> bytes:
    if source is None:
        return answer(f"{name} (not shown)", hidden=True, twice=True).encode()
    try:
        value = sys.stdin.buffer.read() if source == "-" else Path(source).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"secret {name}: {source} cannot be read: {error.strerror}") from error
    warn_of_newline(name, value, "…" if source == "-" else source)
    return value
