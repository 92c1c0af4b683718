"""bundle remove: take an app off a target."""

from __future__ import annotations

import click

from bundler import deploy
from bundler.cli import output
from bundler.cli.deploying import carry_out, consent
from bundler.cli.options import (
    app_argument,
    duration_s,
    end_timeout_option,
    open_target,
    same_place,
    target_option,
    yes_option,
)
from bundler.errors import UsageError


@click.command("remove", short_help="Take an app off a target; its data stays unless you say so.")
@app_argument
@target_option
@click.option("--volumes", is_flag=True, help="Remove its data too: volumes, generated secrets, the ledger of jobs.")
@end_timeout_option
@yes_option
def command(app: str, *, target: str | None, volumes: bool, timeout: str | None, yes: bool) -> int:
    """Remove APP from TARGET. Data volumes, generated secrets and the ledger of jobs stay together unless
    --volumes is given; a later deploy of the same app finds them."""
    place = open_target(target)
    ready = deploy.prepare_removal(place, app, volumes=volumes)
    deploy.refuse(ready)
    kept = deploy.kept(ready)
    if not ready.plan.steps and not kept:
        raise UsageError(
            f"there is no app {app!r} on {place.name}", hint=f"bundle list --target {place.name}{same_place()}"
        )
    consent(ready, yes=yes or (not volumes and not _asks(yes=yes)))
    carry_out(ready, duration_s(timeout))
    output.answer(f"removed {app} from {place.name}" if ready.plan.steps else f"{app}: nothing to remove but its data")
    if kept:
        output.answer("kept: " + ", ".join(kept))
        output.note(f"to remove these too: bundle remove {app} --target {place.name}{same_place()} --volumes")
    return 0


def _asks(*, yes: bool) -> bool:
    import sys

    return not yes and sys.stdin.isatty()
