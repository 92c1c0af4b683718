"""bundle open: go to a front door."""

from __future__ import annotations

import click

from bundler.cli import output
from bundler.cli.options import open_target, target_option
from bundler.cli.report import doors
from bundler.errors import TargetError, UsageError


@click.command("open", short_help="Open a front door in the browser.")
@click.argument("app")
@click.argument("door", required=False)
@target_option
@click.option("--print", "only_print", is_flag=True, help="Only print the address.")
def command(app: str, door: str | None, *, target: str | None, only_print: bool) -> int:
    """Open the front DOOR of APP in the browser; the first one unless named. The address is printed last."""
    place = open_target(target)
    observed = place.observe(app)
    if not observed.instances:
        raise UsageError(f"nothing of {app!r} runs on {place.name}", hint=f"bundle list --target {place.name}")
    there = {one.name: one for one in doors(observed)}
    if not there:
        raise UsageError(f"{app} has no front door", hint="a graph opens one with publish: {NAME: service.endpoint}")
    if door is not None and door not in there:
        raise UsageError(f"{app} has no front door {door!r}", hint=f"there are: {', '.join(there)}")
    chosen = there[door] if door else next(iter(there.values()))
    if not observed.of(f"service/{chosen.node}"):
        hint = f"bundle status {app} --target {place.name}"
        raise TargetError(f"{chosen.node}, the service behind {chosen.name}, is not there", hint=hint)
    url = chosen.url
    if not only_print and url.startswith("http"):
        import webbrowser

        if not webbrowser.open(url):
            output.note("no browser here; the address is")
    output.answer(url)
    return 0
