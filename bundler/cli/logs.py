"""bundle logs: what does an app say?"""

from __future__ import annotations

import click

from bundler import follow as following
from bundler.cli import output
from bundler.cli.options import app_argument, open_target, same_place, since_time, target_option
from bundler.edges.clock import SystemClock
from bundler.errors import UsageError


@click.command("logs", short_help="Show the logs of an app, a service or a job.")
@app_argument
@click.argument("service", required=False)
@target_option
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines as they come.")
@click.option(
    "--since",
    metavar="TIME|DURATION",
    help="Only lines from this time on (RFC 3339, 2026-01-31T08:00:00Z), or of so long a while (10m, 1h30m).",
)
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of each instance.")
@click.option("--timestamps", is_flag=True, help="Show each line's time.")
def command(
    app: str,
    service: str | None,
    *,
    target: str | None,
    follow: bool,
    since: str | None,
    tail: int | None,
    timestamps: bool,
) -> int:
    """Show the logs of APP, or of one SERVICE or job of it, oldest first.

    With --follow it goes on over restarts and new deploys, until APP (or SERVICE) is gone.
    """
    begin = since_time(since)
    place = open_target(target)
    observed = place.observe(app)
    known = sorted({one.resource.partition("/")[2] for one in observed.instances})
    if not known:
        raise UsageError(
            f"nothing of {app!r} runs on {place.name}", hint=f"bundle list --target {place.name}{same_place()}"
        )
    if service is not None and service not in known:
        raise UsageError(f"{app} has no running service or job {service!r}", hint=f"there are: {', '.join(known)}")
    several = service is None and len(known) > 1
    width = max(map(len, known))
    if follow:
        lines = following.follow(place, app, service, since=begin, tail=tail, clock=SystemClock())
    else:
        lines = place.logs(app, service, follow=False, since=begin, tail=tail)
    for line in lines:
        name = f"{line.service.ljust(width)}  " if several else ""
        time = f"{line.time}  " if timestamps else ""
        output.answer(name + time + line.text)
    return 0
