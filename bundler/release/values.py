"""The site's values over the graph's defaults, as the texts that placeholders become."""

from __future__ import annotations

from bundler.errors import UsageError
from bundler.model.graph import Graph
from bundler.model.site import Site


def settle_values(graph: Graph, site: Site) -> dict[str, str]:
    """Every value as text. Raises UsageError naming all that have neither default nor answer."""
    missing = [value.name for value in graph.values if value.default is None and value.name not in site.values]
    if missing:
        raise UsageError(
            f"the site must give {'these values' if len(missing) > 1 else 'a value'}: {', '.join(missing)}",
            hint=f"--set values.{missing[0]}=…, or in a site file:\n  values:\n    {missing[0]}: …",
        )
    return {value.name: as_text(site.values.get(value.name, value.default)) for value in graph.values}


def as_text(value: object) -> str:
    """A value as a container sees it: booleans as in JSON, everything else as written."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
