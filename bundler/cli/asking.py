"""Asking, where somebody is there to be asked."""

from __future__ import annotations

import sys

import click

from bundler.errors import DeclinedError, UsageError


def can_ask() -> bool:
    """Whether a person sees the question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def require_yes(question: str) -> None:
    """Raise DeclinedError for any answer but yes, UsageError where nobody can be asked."""
    if not can_ask():
        raise UsageError(f"{question} Nobody can be asked here", hint="to go on without being asked, add --yes")
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort as error:
        _unless_ended(error)
    raise DeclinedError("not done; nothing was changed")


def answer(question: str, *, hidden: bool = False, twice: bool = False) -> str:
    """What somebody types; not shown where it is a secret. Raises DeclinedError where they end it with Ctrl-D."""
    try:
        again = f"{question}, again" if twice else False
        return str(click.prompt(question, hide_input=hidden, confirmation_prompt=again, err=True))
    except click.Abort as error:
        _unless_ended(error)
    raise DeclinedError("not done; nothing was changed")


def _unless_ended(error: click.Abort) -> None:
    """click makes one of Ctrl-C and Ctrl-D; the first interrupts."""
    if not isinstance(error.__context__, EOFError):
        raise KeyboardInterrupt from error
    click.echo(err=True)
