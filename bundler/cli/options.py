"""Options that several verbs share, and how they become what the use cases take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli import output, places
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.contract import Target
    from bundler.model.oci import Platform

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
app_option = click.option("--app", metavar="NAME", help="The app's name there; the bundle's name unless given.")
timeout_option = click.option(
    "--timeout",
    metavar="DURATION",
    help="When to give up waiting for health (90s, 15m); 10 minutes, or longer where start periods need it.",
)
end_timeout_option = click.option(
    "--timeout", metavar="DURATION", help="When to give up waiting for the end (90s, 15m); 10 minutes unless given."
)
unsigned_option = click.option(
    "--insecure-allow-unsigned",
    is_flag=True,
    help="For this run: accept a bundle that is unsigned or signed by an unknown key. Digests, canonical form and "
    "an invalid signature still refuse.",
)
key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="PUB",
    help="A public key (PEM) to trust for this run, and no other.",
)
file_argument = click.argument("file", type=click.Path(path_type=Path))


def target_option(function: F) -> F:
    """`--target`; above `site_options`, where the verb has them."""
    sites = any(one.name == "sites" for one in getattr(function, "__click_params__", ()))
    text = "docker or compose; what the site file says unless given." if sites else "docker or compose."
    return click.option("--target", "-t", metavar="TARGET", help=text)(function)


def site_options(function: F) -> F:
    """`--site` and `--set`."""
    function = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help="One answer: values.x=y, publish.ui.port=9000.",
    )(function)
    return click.option(
        "--site",
        "sites",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The site's answers; several are merged in order.",
    )(function)


def open_target(name: str | None, options: Mapping[str, str] | None = None) -> Target:
    """The target of that name. Raises UsageError where none was named or it is unknown."""
    from bundler import discovery

    if name is None:
        raise UsageError("no target named", hint=f"--target {' or --target '.join(discovery.names())}")
    if name not in discovery.names():
        near = output.nearest(name, discovery.names())
        raise UsageError(
            f"unknown target {name!r}" + (f"; did you mean {near!r}?" if near else ""),
            hint=f"installed targets: {', '.join(discovery.names())}",
        )
    return discovery.load(name, options or {})


def duration_s(text: str | None) -> float | None:
    """Seconds of `90s`, `15m`, `1h30m`, or a plain number of seconds."""
    if text is None:
        return None
    import re

    from bundler.graphfile import forms

    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
    elif text and re.fullmatch(forms.DURATION, text):
        seconds = forms.duration_s(text)
    else:
        raise UsageError(f"--timeout {text}: not a duration", hint="90s, 15m, 1h30m")
    if seconds <= 0:
        raise UsageError(f"--timeout {text}: must be more than nothing")
    return seconds


def since_time(text: str | None) -> str | None:
    """A point in time as RFC 3339 in UTC, of such a time or of how long ago it is (`10m`). Raises UsageError."""
    if text is None:
        return None
    import re
    import time

    from bundler.graphfile import forms
    from bundler.model.times import rfc3339, unix_ns

    if text and re.fullmatch(forms.DURATION, text):
        return rfc3339(max(time.time_ns() - int(forms.duration_s(text) * 1e9), 0))
    try:
        return rfc3339(unix_ns(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {text}: neither a time nor a duration",
            hint="a time with its zone, 2026-01-31T08:00:00Z or 2026-01-31T08:00:00+01:00, or how long ago: 10m, 1h30m",
        ) from error


def parsed_platform(text: str) -> Platform:
    """Raises UsageError for what is no platform."""
    from bundler.model.oci import Platform

    try:
        return Platform.parse(text)
    except ValueError as error:
        raise UsageError(str(error), hint="platforms are written os/architecture: --platform linux/arm64") from error


def app_name(given: str | None, default: str) -> str:
    """A DNS label. Raises UsageError for anything else."""
    import re

    name = given if given is not None else default
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", name):
        raise UsageError(
            f"{name!r} cannot name an app",
            hint="lower-case letters, digits and '-' inside, at most 40 characters (--app NAME)",
        )
    return name


def cache_dir() -> Path:
    return places.cache_dir()
