"""The site's answers from files, `--set` and the places that secrets come from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundler.cli import output
from bundler.cli.graph import read_text
from bundler.errors import UsageError
from bundler.model.graph import Graph
from bundler.model.site import Site
from bundler.release.secrets import within_limit


def read_site(files: Sequence[Path], assignments: Sequence[str], graph: Graph) -> Site:
    """The answers of all files, merged in order, then of `--set`. Raises GraphError and UsageError."""
    from bundler.graphfile import site

    merged = site.parse_site([site.read_site(read_text(path), str(path)) for path in files], graph)
    return site.with_values(merged, graph, assignments)


def read_secrets(site: Site) -> Mapping[str, bytes]:
    """The bytes of the secrets that the site gives by file or environment variable. Those that lie on the target are
    for `deploy.prepare`."""
    given: dict[str, bytes] = {}
    for name, source in site.secrets.items():
        if source.file is not None:
            path = Path(source.file).expanduser()
            try:
                given[name] = within_limit(path.read_bytes(), name)
                if given[name].find(b"\n") == len(given[name]) - 1:  # several lines, as of a key in PEM, end with one
                    output.note(
                        f"warning: secret {name} ends with a newline, which is part of it; "
                        f"if it should not be: printf '%s' … > {path}"
                    )
            except OSError as error:
                raise UsageError(f"secret {name}: {path} cannot be read: {error.strerror}") from error
        elif source.env is not None:
            if source.env not in os.environ:
                raise UsageError(f"secret {name}: the environment variable {source.env} is not set")
            given[name] = within_limit(os.environb[os.fsencode(source.env)], name)
    return given
