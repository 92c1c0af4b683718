"""The site's answers that are texts: values, and the addresses of externals."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bundler.errors import Problem
from bundler.graphfile import types
from bundler.graphfile.site import SiteError, used_fields
from bundler.model.graph import Graph
from bundler.model.observed import StoredSecret
from bundler.model.site import Site

_SCHEME = re.compile(r"\s*[A-Za-z][\w+.:-]*://")


def settle_values(graph: Graph, site: Site) -> dict[str, str]:
    """Every value as text. Raises SiteError with all that have neither default nor answer."""
    problems = [
        Problem(f"values.{value.name}", "needs a value; the graph has no default", f"--set values.{value.name}=…")
        for value in graph.values
        if value.default is None and value.name not in site.values
    ]
    if problems:
        raise SiteError(problems)
    return {value.name: _text(site.values.get(value.name, value.default)) for value in graph.values}


def check_externals(graph: Graph, site: Site, secrets: Mapping[str, StoredSecret]) -> None:
    """Raises SiteError with every field of an external that the graph reads and that is neither in the site
    nor among `secrets` (names `EXTERNAL.FIELD`), and with addresses among these that are another type's."""
    problems: list[Problem] = []
    used = used_fields(graph)
    for external in graph.externals:
        prefix = f"{external.name}."
        given = set(site.externals.get(external.name, {})) | {
            name.removeprefix(prefix) for name in secrets if name.startswith(prefix)
        }
        for choice in types.needed_fields(external.type, used.get(external.name, frozenset())):
            if choice & given:
                continue
            field = min(choice)
            hint = f"site file: externals: {{{external.name}: {{{field}: …}}}}"
            if choice & types.secret_fields(external.type):
                hint = f"site file: secrets: {{{external.name}.{field}: {{file: …}}}}"
            problems.append(Problem(f"externals.{external.name}", f"needs {' or '.join(sorted(choice))}", hint))
        for name in (f"{prefix}url", f"{prefix}endpoint"):
            address = secrets[name].value.decode(errors="replace") if name in secrets else ""
            if _SCHEME.match(address) and not types.serves(external.type, address):
                hint = f"its address begins with {types.expected_schemes(external.type)}"
                message = f"its scheme is not one of type {external.type}"
                problems.append(Problem(f"secrets.{name}", message, hint))
    if problems:
        raise SiteError(problems)


def _text(value: object) -> str:
    """A value as a container sees it: booleans as in JSON, everything else as written."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
