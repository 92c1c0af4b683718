"""Words that the shell completes: what this machine knows, and the apps of a target that is named before them.

Whatever fails, there are no words, and no error.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Thread

import click
from click.shell_completion import CompletionItem

_WAIT_S = 1.0


def targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The targets installed here."""
    from bundler import discovery

    return _beginning(incomplete, discovery.names())


def components(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the tool's own library."""
    from bundler.graphfile.library import Library

    return _beginning(incomplete, Library.own().names)


def keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What `bundle explain` can be asked for, one step of a path at a time."""
    from bundler.graphfile import explained

    depth = incomplete.count(".")
    return _beginning(incomplete, (name for name in explained.names() if name.count(".") <= depth))


def variants(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the graph or bundle that is named before, or of the graph in this directory."""
    from bundler.cli.graph import graph_at

    argument = next((one.name for one in context.command.params if isinstance(one, click.Argument)), None)
    # click leaves it among the rest where the option before the cursor has no value yet
    place = context.args[0] if context.args else context.params.get(argument or "") or ""
    with contextlib.suppress(Exception):
        return _beginning(incomplete, graph_at(Path(place), "")[1])
    return []


def apps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those on the target that is named before, where it answers at once."""
    from bundler.cli.options import open_target

    found: list[str] = []

    def ask() -> None:
        with contextlib.suppress(Exception), context.scope(cleanup=False):
            found.extend(sorted({one.app for one in open_target(context.params["target"]).apps()}))

    logging.disable()
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_WAIT_S)
    if asking.is_alive():
        os._exit(0)  # what it has begun would be waited for at the exit
    return _beginning(incomplete, found)


def _beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
