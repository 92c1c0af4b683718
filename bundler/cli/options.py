"""Options that several verbs share, and how they become what the use cases take."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli import completing, output, places
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.collect.mirrors import Mirror
    from bundler.contract import Target
    from bundler.model.oci import Platform
    from bundler.model.site import Site

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
app_argument = click.argument("app", shell_complete=completing.apps)
app_option = click.option(
    "--app",
    metavar="NAME",
    help="The app's name there; the bundle's name unless given.",
    shell_complete=completing.apps,
)
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
    help="For this run: accept what is unsigned or signed by an unknown key. Digests, canonical form and "
    "an invalid signature still refuse.",
)
key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="PUB",
    help="A public key (PEM) to trust for this run, and no other.",
)
mirror_option = click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="REGISTRY=HOST/PATH",
    help="Take the images of a registry from elsewhere, also those that the local engine has: docker.io=HOST/PATH has "
    "docker.io/library/nginx:1 as HOST/PATH/library/nginx:1. Several times for several. The bundle is the same.",
)
variant_option = click.option(
    "--variant", metavar="NAME", help="The graph as this variant has it.", shell_complete=completing.variants
)
file_argument = click.argument("file", type=click.Path(path_type=Path))


_CHOSEN = "bundler.cli.options.chosen"  # in a context's meta: what the target itself is told
_TOLD = "bundler.cli.options.told"  # the same, and what the site file says


def _told(option: str, **attributes: Any) -> Callable[[F], F]:
    """An option that goes to the target as it is, under its own name; one that may be given several times with commas
    between what was given."""

    def remember(context: click.Context, parameter: click.Parameter, given: str | tuple[str, ...] | None) -> None:
        value = (",".join(given) or None) if isinstance(given, tuple) else given
        if value is not None and parameter.name is not None:
            context.meta.setdefault(_CHOSEN, {})[parameter.name] = value

    return click.option(option, expose_value=False, callback=remember, **attributes)


def target_option(function: F) -> F:
    """`--target`, and what says where it is; above `site_options`, where the verb has them."""
    for told in (
        _told(
            "--containerd",
            metavar="SOCKET",
            multiple=True,
            help="Kubernetes: the socket of a node's containerd, or docker://CONTAINER where the node is one (kind, "
            "k3d, minikube); once for each node. CONTAINERD_ADDRESS unless given, with commas between several.",
        ),
        _told("--namespace", metavar="NAME", help="Kubernetes: the app's name unless given."),
        _told("--context", metavar="NAME", help="Of docker, or of the kubeconfig (KUBECONFIG, ~/.kube/config)."),
    ):
        function = told(function)
    sites = any(one.name == "sites" for one in getattr(function, "__click_params__", ()))
    text = "docker, compose, k8s or k3s" + ("; what the site file says unless given." if sites else ".")
    return click.option("--target", "-t", metavar="TARGET", help=text, shell_complete=completing.targets)(function)


def site_options(function: F) -> F:
    """`--site`, `--set`, and the way of images to a cluster's nodes."""
    for told in (
        _told(
            "--import",
            flag_value="yes",
            is_flag=True,
            default=None,
            help="Kubernetes: import images into the nodes' containerds, even where a registry was used before.",
        ),
        _told(
            "--pull-secret-from",
            metavar="FILE",
            help="Kubernetes: let the nodes pull with the user and password that FILE, a docker config.json, has for "
            "the registry. They are copied into the namespace, so best of an account that may only pull.",
        ),
        _told(
            "--pull-secret", metavar="NAME", help="Kubernetes: the Secret there that the nodes pull with; '' for none."
        ),
        _told("--registry", metavar="HOST/PATH", help="Kubernetes: push images there; the nodes pull from it."),
    ):
        function = told(function)
    function = click.option(
        "--variant",
        metavar="NAME",
        help="The variant of the bundle; '' for none, where there was one before.",
        shell_complete=completing.variants,
    )(function)
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


def open_target(name: str | None, site: Site | None = None) -> Target:
    """The target of that name, or the site's; where in it, as the command line or the site says. Raises UsageError
    where none was named or it is unknown."""
    from bundler import discovery

    places = {} if site is None else {"context": site.context, "namespace": site.namespace}
    name = name or (site.target if site is not None else None)
    if name is None:
        raise UsageError("no target named", hint=f"--target {' or --target '.join(discovery.names())}")
    if name not in discovery.names():
        near = output.nearest(name, discovery.names())
        raise UsageError(
            f"unknown target {name!r}" + (f"; did you mean {near!r}?" if near else ""),
            hint=f"installed targets: {', '.join(discovery.names())}",
        )
    context = click.get_current_context(silent=True)
    chosen: dict[str, str] = context.meta.get(_CHOSEN, {}) if context is not None else {}
    told = {**{option: value for option, value in places.items() if value}, **chosen}
    if context is not None:
        context.meta[_TOLD] = told
    try:
        return discovery.load(name, told)
    except UsageError as error:
        if site is None or site.target in (None, name) or not any(places.values()):  # not for what the site says
            raise
        mend = f"the site file is for target {site.target}: leave --target out, or name a site file for {name}"
        raise UsageError(error.what, hint=mend) from error


def same_place() -> str:
    """What a further command must be told beside `--target` to get to the same place, for a shell; begins with a
    space."""
    return where() + _said("containerd")


def where() -> str:
    """Of that, what names the place and not the way there."""
    return _said("context") + _said("namespace")


def _said(name: str) -> str:
    context = click.get_current_context(silent=True)
    told: dict[str, str] = context.meta.get(_TOLD, {}) if context is not None else {}
    given = told.get(name, "")
    each = given.split(",") if name == "containerd" else [given]
    return "".join(f" --{name} {shlex.quote(one.strip())}" for one in each if one.strip())


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
    from bundler.model.oci import ARCHITECTURES, OTHERWISE_CALLED, Platform

    try:
        platform = Platform.parse(text)
    except ValueError as error:
        raise UsageError(str(error), hint="platforms are written os/architecture: --platform linux/arm64") from error
    if platform.architecture not in ARCHITECTURES:
        known = OTHERWISE_CALLED.get(platform.architecture)
        hint = f"--platform {platform.os}/{known}" if known else f"there are: {', '.join(ARCHITECTURES)}"
        raise UsageError(f"--platform {text}: no architecture is called {platform.architecture!r}", hint=hint)
    return platform


def parsed_mirrors(texts: tuple[str, ...]) -> tuple[Mirror, ...]:
    """Raises UsageError for what is no mirror, and for two of one registry."""
    from bundler.collect.mirrors import Mirror

    mirrors: dict[str, Mirror] = {}
    for text in texts:
        try:
            mirror = Mirror.parse(text)
        except ValueError as error:
            raise UsageError(f"--mirror {text}: {error}", hint="--mirror docker.io=registry.example/hub") from error
        if mirrors.setdefault(mirror.registry, mirror) != mirror:
            raise UsageError(
                f"--mirror: {mirror.registry} has two, {mirrors[mirror.registry].place} and {mirror.place}"
            )
    return tuple(mirrors.values())


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
