"""bundle open: go to a front door."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bundler.cli import output
from bundler.cli.options import app_argument, open_target, same_place, target_option
from bundler.contract import Dialing
from bundler.deploy import recorded_release
from bundler.errors import TargetError, UsageError
from bundler.model.release import ReleaseDoor

if TYPE_CHECKING:
    from bundler.edges.forward import Connection


@click.command("open", short_help="Open a front door in the browser.")
@app_argument
@click.argument("door", required=False)
@target_option
@click.option("--print", "only_print", is_flag=True, help="Only print the address; no browser.")
def command(app: str, door: str | None, *, target: str | None, only_print: bool) -> int:
    """Open the front DOOR of APP in the browser; the first one unless named. The address is printed last.

    On a cluster a door without a host name is forwarded to this machine until the command is interrupted, also with
    --print: the address is the first line then.
    """
    place = open_target(target)
    observed = place.observe(app)
    if not observed.instances:
        raise UsageError(
            f"nothing of {app!r} runs on {place.name}", hint=f"bundle list --target {place.name}{same_place()}"
        )
    there = {one.name: one for one in recorded_release(place, observed).doors}
    if not there:
        raise UsageError(f"{app} has no front door", hint="a graph opens one with publish: {NAME: service.endpoint}")
    if door is not None and door not in there:
        raise UsageError(f"{app} has no front door {door!r}", hint=f"there are: {', '.join(there)}")
    chosen = there[door] if door else next(iter(there.values()))
    others = [name for name in there if name != chosen.name]
    if door is None and others:
        another = f"bundle open {app} {others[0]} --target {place.name}{same_place()}"
        output.note(f"the front door {chosen.name}; there is also {', '.join(others)}: {another}")
    if not observed.of(f"service/{chosen.node}"):
        hint = f"bundle status {app} --target {place.name}{same_place()}"
        raise TargetError(f"{chosen.node}, the service behind {chosen.name}, is not there", hint=hint)
    url = chosen.url
    if chosen.host is None and isinstance(place, Dialing):
        return _forward(place, app, chosen, only_print=only_print)
    if not only_print and url.startswith("http"):
        import webbrowser

        if not webbrowser.open(url):
            output.note("no browser here; the address is")
    output.answer(url)
    return 0


def _forward(place: Dialing, app: str, door: ReleaseDoor, *, only_print: bool) -> int:
    """Hold the door open here until interrupted."""
    import threading
    import webbrowser

    from bundler.edges.forward import Forward

    def dial() -> Connection:
        return place.dial(app, door.node, door.port)

    dial().close()
    with Forward(door.bind, door.host_port, dial, lambda error: output.error(error.what, error.hint)) as forward:
        if forward.port != door.host_port:
            output.note(f"port {door.host_port} is taken here")
        url = replace(door, host_port=forward.port).url
        output.answer(url)
        sys.stdout.flush()
        output.note("forwarded until interrupted (Ctrl-C)")
        if not only_print and url.startswith("http"):
            webbrowser.open(url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            output.note("closed")
    return 0
