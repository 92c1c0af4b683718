"""bundle diff: where do two graphs differ?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import completing, output
from bundler.cli.graph import graph_file, is_graph, read_graphs
from bundler.cli.options import json_option
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.graphfile.differences import Difference


@click.command("diff", short_help="Show where two graphs differ: variants, or what stands in two places.")
@click.argument("before", type=click.Path(path_type=Path), default=Path())
@click.argument("after", type=click.Path(path_type=Path), required=False)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="One: this variant against the graph itself, or of both places. Two: the one against the other.",
    shell_complete=completing.variants,
)
@json_option
def command(before: Path, after: Path | None, *, variants: tuple[str, ...], as_json: bool) -> int:
    """Show every node and key in which the graphs BEFORE and AFTER differ; each is a directory, a graph file or a
    bundle. Without AFTER, the graph and its variants.

    \b
    bundle diff --variant acme                   the graph and its variant acme
    bundle diff --variant acme --variant other   two variants
    bundle diff old.bundle.tar new.bundle.tar    two bundles, also by the digests of their images
    """
    if len(variants) > 2 or (after is not None and len(variants) > 1):
        raise UsageError("two graphs are compared", hint="name at most two variants, or one with two places")
    if after is None and not variants:
        raise UsageError("there is one graph only", hint="bundle diff BEFORE AFTER, or --variant NAME")
    names = variants if len(variants) == 2 else (variants * 2 if after is not None else ("", *variants))
    old_title, old = _graph(before, names[0] if names else "")
    new_title, new = _graph(after or before, names[-1] if names else "")
    from bundler.graphfile.differences import differences

    found = differences(old, new)
    if as_json:
        output.answer_json({"before": old_title, "after": new_title, "differences": [_json(one) for one in found]})
        return 0
    output.answer(f"{old_title} → {new_title}" + ("" if found else ": no difference"))
    for one in found:
        output.answer(f"{one.sign} {one.kind} {one.name}")
        if one.added or one.gone:
            lines = output.table([(field.path, _cell(field.after or field.before)) for field in one.fields])
        else:
            lines = output.table([(f.path, _cell(f.before), "→", _cell(f.after)) for f in one.fields])
        for line in lines:
            output.answer(f"  {line}")
    if after is not None and not variants:
        for place, other in ((before, after), (after, before)):
            if only := [name for name in _variants(place) if name not in _variants(other)]:
                output.note(f"only {place} has {'the variant' if len(only) == 1 else 'the variants'} {', '.join(only)}")
    return 0


def _cell(text: str | None) -> str:
    """One line, not too long."""
    if text is None:
        return "—"
    line = text.replace("\n", "↵")
    return line if len(line) <= 60 else f"{line[:59]}…"


def _graph(place: Path, variant: str) -> tuple[str, Mapping[str, Any]]:
    """What it is called, and the graph as written; a bundle's with the digests of its images."""
    if is_graph(place):
        from bundler.graphfile.written import written

        graph = read_graphs(place, (variant,) if variant else ()).union.graphs[variant]
        return f"{graph.name} {graph.version}{variant and f' {variant}'}", written(graph)
    return _packed(place, variant)


def _variants(place: Path) -> tuple[str, ...]:
    if is_graph(place):
        from bundler.graphfile.variants import names

        return names(graph_file(place).parent)
    from bundler.cli.bundlefile import read_whole

    return tuple(one.variant for one in read_whole(place).variants)


def _packed(file: Path, variant: str) -> tuple[str, Mapping[str, Any]]:
    import json

    from bundler.cli.bundlefile import of_variant

    bundle = of_variant(file, variant)
    data = json.loads(bundle.graph_document)["graph"]
    images = {image.name: image.descriptor.digest.short for image in bundle.images}
    for workload, image in bundle.images_of:
        kind = "services" if workload in data.get("services", {}) else "jobs"
        data[kind][workload]["digest"] = images[image]
    return f"{bundle.graph.name} {bundle.graph.version}{variant and f' {variant}'}", data


def _json(one: Difference) -> dict[str, object]:
    fields = [{"path": field.path, "before": field.before, "after": field.after} for field in one.fields]
    return {"kind": one.kind, "name": one.name, "added": one.added, "gone": one.gone, "fields": fields}
