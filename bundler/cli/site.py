"""The site's answers from files, `--set` and the places that secrets come from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli import output
from bundler.cli.bundlefile import none_held
from bundler.cli.graph import read_text
from bundler.errors import UsageError, typed
from bundler.model.bundle import VerifiedBundle
from bundler.model.site import Site
from bundler.release.secrets import within_limit

if TYPE_CHECKING:
    from bundler.graphfile.source import Source


def read_site(
    sources: Sequence[Source], assignments: Sequence[str], verified: VerifiedBundle
) -> tuple[Site, VerifiedBundle]:
    """The answers of all `sources`, merged in order, then of `--set`; and the bundle as the variant has it that they
    ask for. Raises GraphError and UsageError."""
    from bundler.graphfile import site

    asked = site.variant_of(sources) or ""
    chosen = verified.of(asked)
    if chosen is None:
        known = [one.variant for one in verified.bundle.variants]
        raise UsageError(
            f"the bundle holds no variant {asked!r}",
            hint=f"it holds: {', '.join(known)}" if known else none_held(asked),
        )
    graph = chosen.bundle.graph
    return site.with_values(site.parse_site(sources, graph), graph, assignments), chosen


def site_sources(files: Sequence[Path], variant: str | None) -> list[Source]:
    """The site files as they are written, each read once, as it may be a pipe; and what `--variant` says."""
    from bundler.graphfile import site
    from bundler.graphfile.source import placed

    for path in files:
        if not path.exists():
            raise UsageError(f"there is no site file {path}", hint=f"bundle site init FILE -o {typed(path)} writes one")
    said = [] if variant is None else [placed({"variant": variant}, "--variant")]
    return [*(site.read_site(read_text(path), str(path)) for path in files), *said]


def read_secrets(site: Site) -> Mapping[str, bytes]:
    """The bytes of the secrets that the site gives by file or environment variable. Those that lie on the target are
    for `deploy.prepare`."""
    given: dict[str, bytes] = {}
    for name, source in site.secrets.items():
        if source.file is not None:
            path = Path(source.file).expanduser()
            try:
                given[name] = within_limit(path.read_bytes(), name)
                warn_of_newline(name, given[name], str(path))
            except OSError as error:
                hint = (
                    f"a path in a site file is from the file's folder; to name another: --set secrets.{name}.file=PATH"
                )
                raise UsageError(
                    f"{source.where}: secret {name}: the file '{path}' cannot be read: {error.strerror}", hint=hint
                ) from error
        elif source.env is not None:
            if source.env not in os.environ:
                raise UsageError(f"{source.where}: secret {name}: the environment variable {source.env} is not set")
            given[name] = within_limit(os.environb[os.fsencode(source.env)], name)
    return given


def warn_of_newline(name: str, value: bytes, path: str) -> None:
    """One that an editor or `echo` has put there; several lines, as of a key in PEM, end with one."""
    if value and value.find(b"\n") == len(value) - 1:
        output.note(
            f"warning: secret {name} ends with a newline, which is part of it; "
            f"if it should not be: printf '%s' … > {path}"
        )
