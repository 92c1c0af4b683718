"""bundle status: how is an app?"""

from __future__ import annotations

import click

from bundler.cli import output
from bundler.cli.options import app_argument, json_option, open_target, same_place, target_option
from bundler.cli.report import app_json, app_lines, is_well
from bundler.errors import TargetError, UnhealthyError, UsageError


@click.command("status", short_help="Show how an app is.")
@app_argument
@target_option
@json_option
def command(app: str, *, target: str | None, as_json: bool) -> int:
    """Show the services, jobs and front doors of APP. Exit status 8 when something is not healthy."""
    place = open_target(target)
    observed = place.observe(app)
    mine = [thing for thing in observed.things if not thing.foreign]
    if not observed.instances and observed.record is None and not mine:
        if observed.hidden:
            raise TargetError(f"nothing of {app!r} is seen on {place.name}", hint=observed.hidden)
        raise UsageError(
            f"there is no app {app!r} on {place.name}", hint=f"bundle list --target {place.name}{same_place()}"
        )
    if as_json:
        output.answer_json(app_json(observed, place.name))
    else:
        for line in app_lines(observed, place.name):
            output.answer(line)
    return 0 if is_well(observed) else UnhealthyError.exit_code
