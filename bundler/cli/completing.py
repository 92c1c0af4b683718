"""Words that the shell completes: those which are known without asking anything outside this machine."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


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


def _beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
