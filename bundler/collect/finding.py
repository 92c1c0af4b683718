"""Where each image of a graph comes from: built, in the local engine, from a registry, or on disk.

Reads the graph, asks the engine, registries and files. Writes nothing (BuildKit writes into the engine).
Next: `images` stores what was found.

A plain name is the local engine's image where the engine has it for all wanted platforms, else the registry's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.collect import changes, dockerfile, manifests, ondisk
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree, shown
from bundler.collect.record import BuildRecord, Item
from bundler.collect.reference import Reference
from bundler.collect.sources import Image, ImageSource, Opener, OwnImage, OwnPart, image_sources, upstream
from bundler.errors import SourceError
from bundler.model.graph import Graph
from bundler.model.oci import Digest, Platform
from bundler.model.progress import Progress

if TYPE_CHECKING:
    from bundler.edges.images import Engine, EngineImage

DEFAULT_PLATFORM = Platform("linux", "amd64")


@dataclass(slots=True)
class Found:
    """The images, how to read layers that are read directly, and what to look at to see whether anything changed."""

    platforms: tuple[Platform, ...] = ()
    images: list[Image] = field(default_factory=list)
    openers: dict[Digest, Opener] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    builds: dict[str, BuildRecord] = field(default_factory=dict)


class Finder:
    """Finds the images of one graph. `requested` platforms; none: the engine's own, where it gives an image."""

    def __init__(
        self,
        tree: SourceTree,
        requested: Sequence[Platform],
        builds: Mapping[str, BuildRecord],
        outside: Outside,
        stack: ExitStack,
        progress: Progress,
    ) -> None:
        self._tree = tree
        self._requested = tuple(manifests.normal(platform) for platform in requested)
        self._old_builds = builds
        self._outside = outside
        self._stack = stack
        self._progress = progress
        self._found = Found()

    def find(self, graph: Graph) -> Found:
        sources = image_sources(graph)
        local = {source.name: there for source in sources if (there := self._local(source)) is not None}
        self._found.platforms = self._platforms(sources, bool(local))
        for source in sources:
            if source.build is not None:
                image: Image = self._built(graph.name, source)
            elif ondisk.transport(source.image or "") is not None:
                image = self._on_disk(source)
            else:
                image = self._engines(source, local.get(source.name)) or self._registrys(source)
            self._found.images.append(image)
        return self._found

    def _platforms(self, sources: Sequence[ImageSource], local: bool) -> tuple[Platform, ...]:
        if self._requested:
            return self._requested
        built = next((source for source in sources if source.build is not None), None)
        if built is None and not local:
            return (DEFAULT_PLATFORM,)
        engine = self._outside.required_engine(built.what if built else "the Docker engine")
        return (manifests.normal(Platform(*engine.platform())),)

    def _local(self, source: ImageSource) -> EngineImage | None:
        """The engine's image of a plain name."""
        if source.image is None or ondisk.transport(source.image) is not None:
            return None
        try:
            Reference.parse(source.image)
        except ValueError as error:
            raise SourceError(f"{source.what}: {error}") from error
        engine = self._outside.engine()
        image = engine.inspect(source.image) if engine is not None else None
        self._found.items.append(
            Item("engine", source.image, image.id if image is not None else changes.ENGINE_HAS_NONE)
        )
        return image

    def _engines(self, source: ImageSource, image: EngineImage | None) -> Image | None:
        if image is None or source.image is None:
            return None
        parts = []
        for platform in self._found.platforms:
            part = self._part(source.image, image, platform)
            if part is None:
                self._progress.line(f"{source.image}: the engine has none for {platform}; from its registry")
                return None
            parts.append(part)
        self._progress.line(f"{source.image}: from the local engine")
        return OwnImage(source, tuple(parts))

    def _part(self, name: str, image: EngineImage, platform: Platform) -> OwnPart | None:
        """One platform of an engine's image."""
        if not manifests.serves(_platform_of(image), platform):
            wanted = {"os": platform.os, "architecture": platform.architecture}
            other = self._outside.required_engine(name).inspect(
                name, wanted | ({"variant": platform.variant} if platform.variant else {})
            )
            if other is None or not manifests.serves(_platform_of(other), platform):
                return None
            image = replace(other, id=image.id)
        try:
            diff_ids = tuple(Digest(text) for text in image.diff_ids)
            identity = Digest(image.id)
        except ValueError as error:
            raise SourceError(f"image {name}: the engine's answer makes no sense: {error}") from error
        return OwnPart(manifests.normal(_platform_of(image)), diff_ids, image.user, None, identity, image.size_bytes)

    def _built(self, graph: str, source: ImageSource) -> Image:
        context = self._tree.locate(source.build or "", source.what)
        if not context.is_dir() or not (context / "Dockerfile").exists():
            raise SourceError(f"{source.what}: there is no Dockerfile", hint=f"looked in {context}")
        engine = self._outside.required_engine(source.what)
        parts = []
        for platform in self._found.platforms:
            tag = dockerfile.tag(graph, source.name, str(platform))
            self._build(source, context, tag, platform, engine)
            image = engine.inspect(tag)
            part = self._part(tag, image, platform) if image is not None else None
            if image is None or part is None:
                raise SourceError(
                    f"{source.what}: built, but the engine that answers here does not have it for {platform}",
                    hint="does the docker command build in another place (docker context, docker buildx ls)?",
                )
            self._found.items.append(Item("engine", tag, image.id))
            self._found.builds[tag] = replace(self._found.builds[tag], image=image.id)
            parts.append(part)
        return OwnImage(source, tuple(parts))

    def _build(self, source: ImageSource, context: Path, tag: str, platform: Platform, engine: Engine) -> None:
        """Call BuildKit unless it is certain that it would change nothing."""
        from bundler.edges import images

        stamp = dockerfile.context_stamp(context, source.what)
        bases = self._bases(context, engine)
        now = BuildRecord(stamp, "", bases or {})
        old = self._old_builds.get(tag)
        self._found.builds[tag] = now
        self._found.items.append(Item("context", source.build or "", stamp))
        self._found.items += [Item("engine", base, identity) for base, identity in sorted((bases or {}).items())]
        if bases is None:  # nothing that could be compared without BuildKit
            self._found.items.append(Item("unknown", source.build or "", ""))
        elif old is not None and stamp and (old.stamp, old.bases) == (stamp, bases):
            image = engine.inspect(tag)
            if image is not None and image.id == old.image:
                return
        self._progress.phase(f"build {source.name}")
        wanted = str(platform) if self._requested else None
        images.build(context, tag, wanted, lambda text: self._progress.line(shown(text)), source.what)

    def _bases(self, context: Path, engine: Engine) -> dict[str, str] | None:
        """The images a build starts from and their ids; None where BuildKit has to look."""
        found = {}
        try:
            for base in dockerfile.base_images(context):
                Reference.parse(base)
                image = engine.inspect(base)
                if image is None and "@sha256:" not in base:
                    return None
                found[base] = image.id if image is not None else changes.ENGINE_HAS_NONE
        except (dockerfile.UncertainError, ValueError):
            return None
        return found

    def _on_disk(self, source: ImageSource) -> Image:
        image, openers = ondisk.find(self._tree, source, self._found.platforms, self._stack)
        self._found.openers |= openers
        path, _ = ondisk.split_tag(self._tree, (ondisk.transport(source.image or "") or ("", ""))[1])
        self._found.items.append(changes.of_image(self._tree, path))
        return image

    def _registrys(self, source: ImageSource) -> Image:
        from bundler.collect.registry import Repository

        reference = Reference.parse(source.image or "")
        there = "" if self._outside.engine() is not None else ", as no engine answers"
        self._progress.line(f"{source.image}: from the registry {reference.host}{there}")
        repository = Repository(self._outside.http(), reference)
        found = repository.find()
        image = upstream(source, found.descriptor, found.data, repository, self._found.platforms)
        if reference.digest is None:
            self._found.items.append(Item("registry", str(reference), found.descriptor.digest.text))
        self._found.openers |= image.openers()
        return image


def _platform_of(image: EngineImage) -> Platform:
    return Platform(image.os, image.architecture, image.variant)
