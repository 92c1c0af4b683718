"""bundle logs: what does an app say?"""

from __future__ import annotations

import click

from bundler.cli import output
from bundler.cli.options import open_target, target_option
from bundler.errors import UsageError


@click.command("logs", short_help="Show the logs of an app, a service or a job.")
@click.argument("app")
@click.argument("service", required=False)
@target_option
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines as they come.")
@click.option("--since", metavar="TIME", help="Only lines after this RFC 3339 time.")
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
    """Show the logs of APP, or of one SERVICE or job of it, oldest first."""
    place = open_target(target)
    observed = place.observe(app)
    known = sorted({one.resource.partition("/")[2] for one in observed.instances})
    if not known:
        raise UsageError(f"nothing of {app!r} runs on {place.name}", hint=f"bundle list --target {place.name}")
    if service is not None and service not in known:
        raise UsageError(f"{app} has no running service or job {service!r}", hint=f"there are: {', '.join(known)}")
    several = service is None and len(known) > 1
    width = max(map(len, known))
    for line in place.logs(app, service, follow=follow, since=since, tail=tail):
        name = f"{line.service.ljust(width)}  " if several else ""
        time = f"{line.time}  " if timestamps else ""
        output.answer(name + time + line.text)
    return 0
