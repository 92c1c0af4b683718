"""bundle add: a component into a graph file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import completing, output
from bundler.cli.asking import can_ask
from bundler.cli.graph import graph_file, read_exactly
from bundler.cli.options import json_option
from bundler.errors import UsageError, typed

if TYPE_CHECKING:
    from bundler.graphfile.adding import Adding
    from bundler.graphfile.library import Library


@click.command("add", short_help="Put a component into a graph file.")
@click.argument("component", shell_complete=completing.components)
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option("--as", "node", metavar="NODE", help="The node's name in the graph; the component's unless given.")
@click.option(
    "--connect",
    "connects",
    multiple=True,
    metavar="SLOT=TARGET",
    help="What it needs: an endpoint NODE.ENDPOINT, an external or a volume. A volume that is not there is added too, "
    "unless its name is nearly that of one that is.",
)
@click.option("--publish", is_flag=True, help="Open its first HTTP endpoint as a front door, under the node's name.")
@click.option("--dry-run", is_flag=True, help="Show what would be added and write nothing.")
@json_option
def command(
    component: str,
    directory: Path,
    *,
    node: str | None,
    connects: tuple[str, ...],
    publish: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Add COMPONENT (NAME, NAME@VERSION or LIBRARY/NAME) as a service to the graph in DIRECTORY, and show what changed.

    Comments, order and every other character of the file stay. Nothing is written where the graph would not be right.

    \b
    bundle add tensorboard --connect logs=runs --publish
    bundle add postgres@17 --as store
    bundle components                     what there is
    """
    from bundler.edges.files import replace_text
    from bundler.graphfile import adding
    from bundler.graphfile.library import Libraries

    if not directory.exists() and Path(component).exists():
        raise UsageError(
            f"there is no graph at {directory}",
            hint=f"the component comes first: bundle add {typed(directory)} {typed(component)}",
        )
    path = graph_file(directory)
    libraries = Libraries(path.parent, str(path))
    given = dict(pairs := [_connect(text) for text in connects])
    if len(given) < len(pairs):
        twice = next(slot for slot in given if [one for one, _ in pairs].count(slot) > 1)
        raise UsageError(f"--connect says {twice} twice", hint="a slot is connected to one thing")
    one = adding.adding(read_exactly(path), str(path), libraries, component, node)
    connect = adding.connections(one.component, given)
    connect = adding.connections(one.component, {**connect, **_asked(one, connect, libraries.own)})
    additions = one.additions(connect, publish=publish)
    text = one.checked(additions, libraries)
    if not dry_run:
        replace_text(path, one.text, text)
    for line in () if as_json else diff(one.text, text, str(path)):
        output.answer_text(line)
    if as_json:
        output.answer_json(
            {
                "file": str(path),
                "written": not dry_run,
                "node": one.node,
                "use": one.use,
                "nodes": one.came(text, libraries),
                "connections": connect,
                "doors": [each.name for each in additions if each.section == "publish"],
                "endpoints": {f"{one.node}.{each.name}": each.type for each in one.component.own},
            }
        )
    elif not dry_run:
        _tell(one, [each.name for each in additions if each.section == "volumes"], path, publish=publish)
    return 0


def _connect(text: str) -> tuple[str, str]:
    slot, equals, target = text.partition("=")
    if not (slot and equals and target):
        raise UsageError(f"--connect {text}: not of the form SLOT=TARGET", hint="--connect logs=runs")
    return slot, target


def _asked(one: Adding, given: Mapping[str, str], library: Library) -> dict[str, str]:
    """What else it needs, of whoever sits at the terminal. UsageError where nobody does, or nothing would fit."""
    from bundler.graphfile.adding import offering
    from bundler.graphfile.described import need

    answers = {}
    for slot, type in one.component.needs.items():
        if slot in given:
            continue
        told = f"{one.component.name} needs {slot}, {need(type)}"
        fitting = one.fitting[slot]
        has = f"there is: {', '.join(fitting)}" if fitting else "the graph has none"
        if type == "volume":
            has += "; another name adds one" if fitting else " yet; any name adds one"
            new = f"{one.node}-{slot}" if slot in fitting else slot
            hint = f"{has}: --connect {slot}={new}"
        elif not fitting:
            first = "".join(f"\nbundle add {name} adds one" for name in offering(library, type))
            raise UsageError(told, hint=f"{has}; what lies outside goes into externals{first}")
        else:
            hint = f"{has}\n--connect {slot}={fitting[0]}"
        if not can_ask():
            raise UsageError(told, hint=hint)
        output.note(f"{told}; {has}")
        default = slot if not fitting else fitting[0] if len(fitting) == 1 else None
        answers[slot] = str(click.prompt(slot, default=default, err=True)).strip()
    return answers


def diff(old: str, new: str, file: str) -> Iterator[str]:
    """What changed, as `patch` takes it; in colours on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), file, file, lineterm=""):
        shown = output.clean(line)
        if output.in_colour() and not line.startswith(("+++", "---")) and line[:1] in colours:
            shown = click.style(shown, fg=colours[line[0]])
        yield f"{shown}\n"


def _tell(one: Adding, volumes: list[str], path: Path, *, publish: bool) -> None:
    """What was done, and what comes next."""
    also = f", and the volume {' and '.join(volumes)}" if volumes else ""
    output.note(f"added {one.node} to {path}{also}: {one.component.summary}")
    if ends := one.component.own:
        output.note(
            f"  to reach it:  connect: {{SLOT: {one.node}.{ends[0].name}}}, and ${{SLOT.url}} where it is needed"
        )
    front = one.component.front
    if front is not None and not publish:
        output.note(f"  from outside: publish: {{{one.node}: {one.node}.{front.name}}}")
    output.note(f"  more of it:   bundle components show {one.use}")
