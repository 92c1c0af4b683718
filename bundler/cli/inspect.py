"""bundle inspect: what is in a bundle?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from bundler.cli import output
from bundler.cli.bundlefile import as_variant, opened, policy
from bundler.cli.options import file_argument, json_option, key_option, variant_option
from bundler.model.bundle import Bundle, BundleImage, Signer
from bundler.model.graph import Service

Part = TypeVar("Part")


@click.command("inspect", short_help="Show what a bundle holds, reading only its metadata.")
@file_argument
@variant_option
@key_option
@json_option
def command(file: Path, *, variant: str | None, key: Path | None, as_json: bool) -> int:
    """Show graph, images, models, sizes, platforms and signers of the bundle FILE.

    The graph is the one without a variant, and what follows is all that the bundle holds, for its variants too; with
    --variant, both are that variant's. Form and signatures are checked, the blobs are not read: `bundle verify` does.
    """
    from bundler.trust.verify import read_signed

    with opened(file) as reader:
        signed = read_signed(reader, policy(key, allow_unsigned=True))
        bundle = as_variant(signed.bundle, variant or "", file)
        if as_json:
            output.answer_json(_json(bundle, signed.signers, file, reader.size_bytes))
            return 0
        for line in _lines(bundle, signed.signers, reader.size_bytes):
            output.answer(line)
    return 0


def _lines(bundle: Bundle, signers: tuple[Signer, ...], size_bytes: int) -> list[str]:
    graph = bundle.graph
    called = f"{graph.name} {graph.version}{bundle.variant and f', the variant {bundle.variant}'}"
    lines = [f"{called}  {output.size(size_bytes)}", f"root {bundle.root.digest}", ""]
    images = dict(bundle.images_of)
    for title, nodes in (("services", graph.services), ("jobs", graph.jobs)):
        rows = []
        for node in nodes:
            ports = ", ".join(f"{e.name} {e.port}" for e in node.expose) if isinstance(node, Service) else node.run
            edges = ", ".join(f"{c.node}.{c.endpoint}" if c.endpoint else c.node for c in node.connect)
            rows.append((node.name, f"image {images[node.name]}", ports, f"→ {edges}" if edges else ""))
        lines += [f"{title}:", *output.table(rows)] if rows else []
    if held := _held(bundle, lambda one: one.images):
        lines += [
            "images:",
            *output.table(
                [
                    (
                        image.name,
                        output.size(_image_bytes(image)),
                        ", ".join(str(p.platform) for p in image.platforms),
                        image.descriptor.digest.short,
                        image.source,
                        _only(variants),
                    )
                    for image, variants in held
                ]
            ),
        ]
    if weights := _held(bundle, lambda one: one.models):
        lines += [
            "models:",
            *output.table(
                [
                    (
                        model.name,
                        output.size(sum(file.size_bytes for file in model.files)),
                        output.count(len(model.files), "files"),
                        model.license or "no license stated",
                        _only(variants),
                    )
                    for model, variants in weights
                ]
            ),
        ]
    if configs := _held(bundle, lambda one: one.configs):
        lines += [
            "configs:",
            *output.table(
                [
                    (
                        config.name,
                        output.size(sum(file.blob.size_bytes for file in config.files)),
                        output.count(len(config.files), "files"),
                        "template" if config.template else "",
                        _only(variants),
                    )
                    for config, variants in configs
                ]
            ),
        ]
    for title, names in (
        ("volumes", [v.name for v in graph.volumes]),
        ("secrets", [s.name for s in graph.secrets]),
        ("externals", [f"{e.name} ({e.type})" for e in graph.externals]),
        ("values", [v.name if v.default is None else f"{v.name}={v.default}" for v in graph.values]),
        ("front doors", [f"{d.name} → {d.node}.{d.endpoint}" for d in graph.doors]),
    ):
        lines += [f"{title}: {', '.join(names)}"] if names else []
    told = [
        f"{one.name or 'unknown key'} {one.fingerprint[:16]}{'' if one.trusted else ' (not trusted here)'}"
        for one in signers
    ]
    if bundle.variants:
        lines += ["variants:", *output.table([(one.variant, *_differences(bundle, one)) for one in bundle.variants])]
    return [*lines, "signed by: " + (", ".join(told) or "nobody")]


def _held(bundle: Bundle, parts: Callable[[Bundle], tuple[Part, ...]]) -> list[tuple[Part, list[str]]]:
    """The parts of the graph itself and of its variants, each once; with the variants, where only they have it."""
    held: list[tuple[Part, list[str]]] = [(part, []) for part in parts(bundle)]
    for variant in bundle.variants:
        for part in parts(variant):
            found = next((variants for one, variants in held if one == part), None)
            if found is None:
                held.append((part, [variant.variant]))
            elif found:
                found.append(variant.variant)
    return held


def _only(variants: list[str]) -> str:
    return f"only {', '.join(variants)}" if variants else ""


def _differences(bundle: Bundle, variant: Bundle) -> tuple[str, ...]:
    """The nodes that a variant adds, leaves out and changes; workloads first, by their names alone."""
    import json

    from bundler.graphfile.differences import differences

    before, after = _workloads(bundle), _workloads(variant)
    added = [f"+{name}" for name in sorted(after.keys() - before.keys())]
    gone = [f"-{name}" for name in sorted(before.keys() - after.keys())]
    changed = [f"~{name}" for name in sorted(after.keys() & before.keys()) if after[name] != before[name]]
    graphs = [json.loads(one.graph_document)["graph"] for one in (bundle, variant)]
    rest = [f"{one.sign}{one.kind} {one.name}" for one in differences(*graphs) if one.kind not in ("service", "job")]
    return tuple(filter(None, (" ".join([*added, *gone, *changed]), ", ".join(rest)))) or ("nothing differs",)


def _workloads(bundle: Bundle) -> dict[str, object]:
    images = dict(bundle.images_of)
    return {one.name: (one, images[one.name]) for one in (*bundle.graph.services, *bundle.graph.jobs)}


def _image_bytes(image: BundleImage) -> int:
    return sum({layer.digest: layer.size_bytes for one in image.platforms for layer in one.layers}.values())


def _json(bundle: Bundle, signers: tuple[Signer, ...], file: Path, size_bytes: int) -> dict[str, object]:
    import json

    return {
        "file": str(file),
        "size_bytes": size_bytes,
        "name": bundle.graph.name,
        "version": bundle.graph.version,
        "variant": bundle.variant,
        "root": str(bundle.root.digest),
        "graph": json.loads(bundle.graph_document)["graph"],
        "images": [
            {
                "name": image.name,
                "reference": image.reference,
                "source": image.source,
                "digest": str(image.descriptor.digest),
                "size_bytes": _image_bytes(image),
                "platforms": [str(one.platform) for one in image.platforms],
                "only_in": variants,
            }
            for image, variants in _held(bundle, lambda one: one.images)
        ],
        "models": [
            {
                "name": model.name,
                "license": model.license,
                "digest": str(model.pack.digest),
                "files": [
                    {"path": one.path, "size_bytes": one.size_bytes, "sha256": one.digest.hex} for one in model.files
                ],
                "only_in": variants,
            }
            for model, variants in _held(bundle, lambda one: one.models)
        ],
        "configs": [
            {
                "name": config.name,
                "template": config.template,
                "files": [
                    {"path": one.path, "size_bytes": one.blob.size_bytes, "sha256": one.blob.digest.hex}
                    for one in config.files
                ],
                "only_in": variants,
            }
            for config, variants in _held(bundle, lambda one: one.configs)
        ],
        "variants": {one.variant: json.loads(one.graph_document)["graph"] for one in bundle.variants},
        "signers": [{"fingerprint": one.fingerprint, "name": one.name, "trusted": one.trusted} for one in signers],
    }
