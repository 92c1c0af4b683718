"""The use case `build`: a graph and everything it names -> one signed bundle.

Reads bundle.yaml, files, engine, registries. Writes one tar, atomically, and a record in the user's cache.
Next: `trust.verify`, on any machine.

An unchanged build looks at times and ids and reads nothing; a partly changed one copies what it can out of the
previous bundle at the same place. Same graph, files, image ids and key: same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.collect import record as records
from bundler.collect.mirrors import Mirror, Mirrors
from bundler.collect.output import SIGNATURES, Output, require_free
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree
from bundler.collect.record import Item, Record
from bundler.edges.files import require_writable, write_atomic
from bundler.errors import BundleError, GraphError, Problem, SourceError, StoppedError, TrustError, UsageError
from bundler.model.oci import Digest, Platform
from bundler.model.progress import Progress

if TYPE_CHECKING:
    from bundler.collect.finding import Found
    from bundler.collect.weights import ModelPlan
    from bundler.layout.archive import ArchiveReader, ArchiveWriter
    from bundler.layout.assembly import PackedConfig, PackedModel
    from bundler.model.graph import Graph
    from bundler.trust.keys import PrivateKey

GRAPH_FILE = "bundle.yaml"
MAX_GRAPH_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`source` is a directory with a bundle.yaml, or such a file. Without `output`: NAME-VERSION.bundle.tar in the
    current directory. No platforms: the engine's own where it gives an image, else linux/amd64. Without a key
    the bundle is not signed. `cache` is where records of builds are kept; None: nowhere. `variants` are packed beside
    the graph. `mirrors`, one for a registry at most, are where its images come from; the bundle says nothing of
    them."""

    source: Path
    output: Path | None = None
    platforms: tuple[Platform, ...] = ()
    key: PrivateKey | None = None
    detached: bool = False
    cache: Path | None = None
    variants: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltPart:
    """`kind` is "image", "model" or "config"; layers that images share are counted in each."""

    kind: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """`signers` are fingerprints of keys; `files` are the bundle and its detached signatures, `changed` is
    what was found to be another than at the build before, where there was one; `warnings` are sentences."""

    path: Path
    name: str
    version: str
    root: Digest
    size_bytes: int
    platforms: tuple[Platform, ...]
    parts: tuple[BuiltPart, ...]
    signers: tuple[str, ...]
    files: tuple[Path, ...]
    unchanged: bool = field(default=False)
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def build(request: BuildRequest, progress: Progress) -> BuildResult:
    """Raises GraphError, SourceError, StoppedError (no room); then there is no bundle, or still the old one."""
    graph_file, text = _graph_file(request.source)
    tree = SourceTree(graph_file.parent)
    variants: Mapping[str, bytes] = {}
    if request.variants:
        from bundler.collect.graphs import variant_texts

        variants = variant_texts(graph_file.parent, request.variants)
    asked = _asked(request, graph_file, text, variants)
    place = None
    if request.cache is not None:
        output = str(Path(os.path.abspath(request.output))) if request.output else f"in {Path.cwd()}"  # noqa: PTH100
        place = records.place(request.cache, str(graph_file), output)
    record = records.load(place) if place is not None else Record()
    with ExitStack() as stack:
        outside = Outside(stack, Mirrors(request.mirrors))
        if record.asked == asked and _unchanged(record, tree, outside):
            return _result(record, unchanged=True)
        building = _Building(request, _as_named(request.source), text, variants, tree, outside, record, stack, progress)
        new = building.run()
        new.asked = asked
    if place is not None:
        records.save(place, new)
    return replace(_result(new, unchanged=False), changed=_changed(record, new))


def _changed(old: Record, new: Record) -> tuple[str, ...]:
    if not old.asked:
        return ()
    words = {
        "graph": "the graph",
        "graph_digest": "the graph",
        "variants": "the variants",
        "platforms": "the platforms",
        "mirrors": "the mirrors",
        "key": "the key",
    }
    asked = [word for key, word in words.items() if old.asked.get(key) != new.asked.get(key)]
    known = {(item.kind, item.text): item.stamp for item in old.items}
    stamps = {(item.kind, item.text): item.stamp for item in new.items if item.text}
    sources = [text for (kind, text), stamp in stamps.items() if stamp and known.get((kind, text)) != stamp]
    return tuple(dict.fromkeys([*asked, *sorted(sources)]))


def _as_named(source: Path) -> str:
    """The graph file as the user calls it, for messages."""
    return str(source / GRAPH_FILE if source.is_dir() else source)


def _graph_file(source: Path) -> tuple[Path, bytes]:
    path = source / GRAPH_FILE if source.is_dir() else source
    try:
        real = path.resolve(strict=True)
        if not real.is_file():
            raise UsageError(f"{path}: not a file")
        with real.open("rb") as file:
            text = file.read(MAX_GRAPH_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or 'cannot be read'}",
            hint=f"name a directory with a {GRAPH_FILE}, or such a file",
        ) from error
    if len(text) > MAX_GRAPH_BYTES:
        raise UsageError(f"{path}: more than {MAX_GRAPH_BYTES:,} bytes")
    return path.parent.resolve() / path.name, text


def _asked(request: BuildRequest, graph_file: Path, text: bytes, variants: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "graph": str(graph_file),
        "graph_digest": Digest.of(text).text,
        "variants": {name: Digest.of(written).text for name, written in variants.items()},
        "platforms": [str(platform) for platform in request.platforms],
        "mirrors": sorted(str(mirror) for mirror in request.mirrors),
        "key": request.key.public.fingerprint if request.key is not None else "",
        "detached": request.detached,
    }


def _unchanged(record: Record, tree: SourceTree, outside: Outside) -> bool:
    """Whether the files that were written, and every source, are as the record says. Cheap looks come first."""
    from bundler.collect import changes

    if (
        not record.output
        or any(records.file_stamp(Path(str(f[0]))) != f for f in record.output if f)
        or not all(record.output)
    ):
        return False
    items = {(item.kind, item.text, item.stamp): item for item in record.items}
    output = Output.at(Path(record.result["path"]), record.result["name"])
    try:
        return all(
            changes.unchanged(item, tree, outside, output)
            for item in sorted(items.values(), key=lambda item: item.kind in ("engine", "platform", "registry"))
        )
    except SourceError:
        return False  # the build itself says it better


def _result(record: Record, *, unchanged: bool) -> BuildResult:
    made = record.result
    return BuildResult(
        path=Path(made["path"]),
        name=made["name"],
        version=made["version"],
        root=Digest(made["root"]),
        size_bytes=made["size_bytes"],
        platforms=tuple(Platform.parse(text) for text in made["platforms"]),
        parts=tuple(BuiltPart(**part) for part in made["parts"]),
        signers=tuple(made["signers"]),
        files=tuple(Path(path) for path in made["files"]),
        warnings=tuple(made["warnings"]),
        unchanged=unchanged,
    )


class _Building:
    """One build that has something to do."""

    def __init__(
        self,
        request: BuildRequest,
        graph_name: str,
        text: bytes,
        variants: Mapping[str, bytes],
        tree: SourceTree,
        outside: Outside,
        record: Record,
        stack: ExitStack,
        progress: Progress,
    ) -> None:
        from bundler.collect import graphs

        self._request = request
        self._tree = tree
        self._outside = outside
        self._old = record
        self._stack = stack
        self._progress = progress
        self._new = Record()
        found = graphs.read(text, graph_name, tree.root, variants)
        self._union, self._libraries = found.union, found.libraries
        self._graph: Graph = self._union.graph
        name = f"{self._graph.name}-{self._graph.version}.bundle.tar"
        self._output = Path(os.path.abspath(request.output or name))  # noqa: PTH100 - links are kept
        self._signatures = [self._output.with_name(self._output.name + ending) for ending in SIGNATURES]
        require_writable(self._output.parent)
        self._place = Output.at(self._output, self._graph.name)
        require_free(self._place, request.output or Path(name), self._union, tree)

    def run(self) -> Record:
        from bundler.collect import changes, configs, weights
        from bundler.collect.finding import Finder

        union = self._union
        # What a source is now is noted before it is read: the next build sees what changed in between.
        items: list[Item | None] = [changes.of_library(self._tree, folder) for folder in self._libraries]
        items += [changes.of_config(self._tree, config) for config in union.configs]
        items += [changes.of_model(self._tree, model) for model in union.models]
        packed_configs = {
            variant: [configs.pack(self._tree, config) for config in graph.configs]
            for variant, graph in union.graphs.items()
        }
        for variant, graph in union.graphs.items():
            self._check_templates(graph, packed_configs[variant])
        plans = [weights.plan(self._tree, model) for model in union.models]
        finder = Finder(
            self._tree,
            self._request.platforms,
            self._old.builds,
            self._outside,
            self._stack,
            self._progress,
            self._place,
            self._request.cache,
        )
        found = finder.find(union.graph.name, union.images)
        self._new.items = [item for item in (*items, *found.items) if item is not None]
        self._new.builds = found.builds
        self._check_room(sum(plan.size_bytes for plan in plans))
        previous = self._previous()
        try:
            self._write(plans, packed_configs, found, previous)
        except TrustError as error:
            if previous is None:
                raise
            # The bundle there is damaged; it is only a shortcut, and everything can be read again.
            self._progress.line(f"not reusing the previous bundle: {error.what}")
            self._old = Record()
            self._write(plans, packed_configs, found, None)
        return self._new

    def _check_templates(self, graph: Graph, packed: Sequence[PackedConfig]) -> None:
        from bundler.graphfile.check import check_template

        problems: list[Problem] = []
        for config in packed:
            declared = next(item for item in graph.configs if item.name == config.name)
            if config.template:
                for path, data in config.files:
                    file = declared.file or "/".join(part for part in ((declared.dir or "").rstrip("/"), path) if part)
                    problems += check_template(data.decode("utf-8"), graph, config.name, file)
        if problems:
            raise GraphError(problems)

    def _previous(self) -> ArchiveReader | None:
        """The bundle that is to be replaced."""
        from bundler.layout.archive import ArchiveReader

        try:
            return self._stack.enter_context(ArchiveReader(self._output)) if self._output.is_file() else None
        except BundleError:
            return None

    def _check_room(self, needed_bytes: int) -> None:
        stats = os.statvfs(self._output.parent)
        free_bytes = stats.f_bavail * stats.f_frsize
        if needed_bytes > free_bytes:
            raise StoppedError(
                f"{self._output.parent}: the weights need {needed_bytes:,} bytes and {free_bytes:,} are free",
                hint="free some space, or write elsewhere with -o FILE, and run the same command again",
            )

    def _write(
        self,
        plans: Sequence[ModelPlan],
        packed_configs: Mapping[str, Sequence[PackedConfig]],
        found: Found,
        previous: ArchiveReader | None,
    ) -> None:
        from bundler.collect import images
        from bundler.collect.declared import unmentioned_volumes
        from bundler.graphfile.written import written
        from bundler.layout.archive import ArchiveWriter
        from bundler.layout.assembly import PackedVariant, assemble
        from bundler.layout.names import bundle_repository
        from bundler.trust.sign import sign_root

        key, union = self._request.key, self._union
        with ArchiveWriter(self._output) as writer:
            models = [self._model(plan, writer, previous) for plan in plans]
            packed = images.pack(
                found,
                union,
                writer,
                previous=previous,
                record=self._old,
                directory=self._output.parent,
                outside=self._outside,
                progress=self._progress,
            )
            assembly = assemble(
                self._graph,
                written(self._graph),
                images=packed.images,
                models=models,
                configs=packed_configs[""],
                users=packed.users.get("", {}),
                variants=[
                    PackedVariant(
                        name,
                        graph,
                        written(graph),
                        union.images_of(name),
                        union.models_of(name),
                        packed_configs[name],
                        packed.users.get(name, {}),
                    )
                    for name, graph in union.variants.items()
                ],
            )
            referrers = sign_root(assembly.root, bundle_repository(self._graph.name), key) if key is not None else ()
            self._progress.phase("putting the bundle in place")
            for stale in self._signatures:
                stale.unlink(missing_ok=True)
            writer.finish(assembly, referrers)
            files = [self._output, *self._sign_detached(writer)]
        self._new.users, self._new.configs = packed.known_users, packed.configs
        self._new.output = [records.file_stamp(path) for path in files]
        parts = [BuiltPart("image", i.name, sum(layer.size_bytes for layer in i.layers)) for i in packed.images]
        parts += [BuiltPart("model", m.name, sum(layer.size_bytes for layer in m.layers)) for m in models]
        parts += [BuiltPart("config", c.name, sum(len(data) for _, data in c.files)) for c in packed_configs[""]]
        warnings = [
            warning
            for name, graph in union.graphs.items()
            for warning in unmentioned_volumes(graph, packed.images, union.images_of(name), name)
        ]
        self._new.result = {
            "path": str(self._output),
            "warnings": warnings,
            "name": self._graph.name,
            "version": self._graph.version,
            "root": assembly.root.digest.text,
            "size_bytes": self._output.stat().st_size,
            "platforms": [str(platform) for platform in found.platforms],
            "parts": [asdict(part) for part in parts],
            "signers": [key.public.fingerprint] if key is not None else [],
            "files": [str(path) for path in files],
        }

    def _model(self, plan: ModelPlan, writer: ArchiveWriter, previous: ArchiveReader | None) -> PackedModel:
        """Out of the previous bundle where no file of it changed, else from its files."""
        from bundler.collect import reuse, weights

        self._progress.phase(f"weights {plan.model.name}", plan.size_bytes)
        stamp = records.stamp_of(plan.files)
        old = self._old.models.get(plan.model.name)
        if old and previous and stamp and old.stamp == stamp and reuse.usable(old, previous):
            packed = reuse.model(plan, old, writer, previous, self._progress)
        else:
            packed = weights.pack(plan, writer, self._progress)
        self._new.models[plan.model.name] = reuse.remember(stamp, packed)
        return packed

    def _sign_detached(self, writer: ArchiveWriter) -> tuple[Path, ...]:
        if not self._request.detached or self._request.key is None:
            return ()
        from bundler.trust.sign import sign_file

        self._progress.phase("signing the file")
        made = sign_file(writer.written(), self._request.key)
        signature, bundle = self._signatures
        write_atomic(signature, made.signature)
        write_atomic(bundle, made.bundle)
        return signature, bundle
