"""Where each image of a graph comes from: built, in the local engine, from a registry, or on disk.

Reads the graph, asks the engine, registries and files. Writes nothing (BuildKit writes into the engine).
Next: `images` stores what was found.

A plain name is the local engine's image where the engine has it for all wanted platforms, else the registry's; of a
registry that has a mirror it is always the mirror's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.collect import changes, dockerfile, manifests, ondisk
from bundler.collect.output import Output
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree, shown
from bundler.collect.record import BuildRecord, Item
from bundler.collect.reference import Reference
from bundler.collect.sources import Image, ImageSource, Opener, OwnImage, OwnPart, UpstreamImage, upstream
from bundler.errors import SourceError
from bundler.model.oci import Digest, Platform
from bundler.model.progress import Progress

if TYPE_CHECKING:
    from bundler.edges.images import Build, Engine, EngineImage
    from bundler.model.graph import PythonBuild

DEFAULT_PLATFORM = Platform("linux", "amd64")


@dataclass(slots=True)
class Found:
    """The images, how to read layers that are read directly, and what to look at to see whether anything changed."""

    platforms: tuple[Platform, ...] = ()
    images: list[Image] = field(default_factory=list)
    openers: dict[Digest, Opener] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    builds: dict[str, BuildRecord] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    """One platform of an image that a Dockerfile makes. `ids`: what the engine may know it by, once that is known."""

    source: ImageSource
    platform: Platform
    build: Build
    record: BuildRecord
    ids: tuple[str, ...]


class Finder:
    """Finds the images of one bundle. `requested` platforms; none: the engine's own, where it gives an image. What
    builds leave at `output` is part of no Dockerfile's context and no project. `cache` keeps wheels."""

    def __init__(
        self,
        tree: SourceTree,
        requested: Sequence[Platform],
        builds: Mapping[str, BuildRecord],
        outside: Outside,
        stack: ExitStack,
        progress: Progress,
        output: Output | None = None,
        cache: Path | None = None,
    ) -> None:
        self._tree = tree
        self._output = output
        # In one order, so that the bytes are the same in whichever they were asked for.
        self._requested = tuple(sorted({manifests.normal(platform) for platform in requested}, key=str))
        self._old_builds = builds
        self._outside = outside
        self._stack = stack
        self._progress = progress
        self._cache = cache
        self._found = Found()

    def find(self, name: str, sources: Sequence[ImageSource]) -> Found:
        """`name` is the graph's."""
        local = {source.name: there for source in sources if (there := self._local(source.base)) is not None}
        self._found.platforms = self._platforms(sources, bool(local))
        built = self._built(name, [source for source in sources if isinstance(source.build, str)])
        for source in sources:
            if isinstance(source.build, str):
                image: Image = OwnImage(source, tuple(built[source.name]))
            elif source.build is not None:
                image = self._python(source, source.build, local.get(source.name))
            else:
                image = self._given(source, local.get(source.name))
            self._found.images.append(image)
        return self._found

    def _given(self, source: ImageSource, local: EngineImage | None, version: str = "") -> OwnImage | UpstreamImage:
        """An image that is there already; `version` is of the Python that it is to have."""
        if ondisk.transport(source.image or "") is not None:
            return self._on_disk(source, version)
        return self._engines(source, local) or self._registrys(source, local)

    def _python(self, source: ImageSource, build: PythonBuild, local: EngineImage | None) -> Image:
        from bundler.collect.python import Maker

        self._found.items.append(changes.of_python(self._tree, build.project, self._output))  # before it is read
        base = self._given(source.base, local, build.version)
        known, made = self._old_builds, self._found.builds
        maker = Maker(self._tree, self._output, self._cache, known, made, self._stack, self._progress)
        image, openers = maker.image(source, build, base, self._found.platforms)
        self._found.openers |= openers
        return image

    def _platforms(self, sources: Sequence[ImageSource], local: bool) -> tuple[Platform, ...]:
        if self._requested:
            return self._requested
        built = next((source for source in sources if isinstance(source.build, str)), None)
        if built is None and not local:
            return (DEFAULT_PLATFORM,)
        engine = self._outside.required_engine(built.what if built else "the Docker engine")
        platform = manifests.normal(Platform(*engine.platform()))
        self._found.items.append(Item("platform", "", str(platform)))
        return (platform,)

    def _local(self, source: ImageSource) -> EngineImage | None:
        """The engine's image of a plain name."""
        if source.image is None or ondisk.transport(source.image) is not None:
            return None
        try:
            reference = Reference.parse(source.image)
        except ValueError as error:
            raise SourceError(f"{source.what}: {error}") from error
        if self._outside.mirrors.of(reference) is not None:
            return None
        engine = self._outside.engine()
        image = engine.inspect(source.image) if engine is not None else None
        self._found.items.append(
            Item("engine", source.image, image.id if image is not None else changes.ENGINE_HAS_NONE)
        )
        return image

    def _engines(self, source: ImageSource, image: EngineImage | None) -> OwnImage | None:
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
        return OwnPart(manifests.normal(_platform_of(image)), diff_ids, image.user, None, identity)

    def _built(self, graph: str, sources: Sequence[ImageSource]) -> dict[str, list[OwnPart]]:
        """The images of Dockerfiles, by source; all that BuildKit has to look at are given to it at once."""
        jobs = [self._job(graph, source, platform) for source in sources for platform in self._found.platforms]
        self._run([job for job in jobs if not job.ids])
        parts: dict[str, list[OwnPart]] = {}
        for job in jobs:
            engine = self._outside.required_engine(job.source.what)
            candidates = (engine.inspect(name) for name in (*job.ids, job.build.tag))
            image = next((image for image in candidates if image is not None), None)
            part = self._part(image.id, image, job.platform) if image is not None else None
            if image is None or part is None:
                raise SourceError(
                    f"{job.source.what}: built, but the engine that answers here does not have it for {job.platform}",
                    hint="does the docker command build in another place (docker context, docker buildx ls)?",
                )
            self._found.builds[job.build.tag] = replace(job.record, image=image.id)
            parts.setdefault(job.source.name, []).append(part)
        return parts

    def _job(self, graph: str, source: ImageSource, platform: Platform) -> _Job:
        """One platform of a Dockerfile's image, with the image's id where it is certain that BuildKit would change
        nothing. All stamps are taken before anything is read."""
        from bundler.edges.images import Build

        folder = source.build if isinstance(source.build, str) else ""
        context = self._tree.locate(folder, source.what)
        if not context.is_dir() or not (context / "Dockerfile").exists():
            raise SourceError(f"{source.what}: there is no Dockerfile", hint=f"looked in {context}")
        engine = self._outside.required_engine(source.what)
        stamp = dockerfile.context_stamp(context, self._output)
        bases = self._bases(context, engine)
        build = Build(
            context,
            dockerfile.sync_name(context, self._output),
            dockerfile.tag(graph, source.name, str(platform)),
            str(platform) if self._requested else None,
            source.what,
            self._output.ignored(context) if self._output is not None else (),
        )
        self._found.items.append(Item("context", folder, stamp))
        self._found.items += [Item("engine", base, identity) for base, identity in sorted((bases or {}).items())]
        old = self._old_builds.get(build.tag)
        ids: tuple[str, ...] = ()
        if bases is None:  # nothing that could be compared without BuildKit
            self._found.items.append(Item("unknown", folder, ""))
        elif old is not None and stamp and (old.stamp, old.bases) == (stamp, bases) and engine.inspect(old.image):
            ids = (old.image,)
        return _Job(source, platform, build, BuildRecord(stamp, "", bases or {}), ids)

    def _run(self, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        from bundler.edges import images

        names = {job.build: f"build {job.source.name}" for job in jobs}
        shown_now = ""

        def heard(build: images.Build, text: str) -> None:
            nonlocal shown_now
            if names[build] != shown_now:
                shown_now = names[build]
                self._progress.phase(shown_now)
            self._progress.line(shown(text))

        self._progress.phase("build")
        for job, ids in zip(jobs, images.build([job.build for job in jobs], heard), strict=True):
            job.ids = ids

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

    def _on_disk(self, source: ImageSource, version: str) -> OwnImage | UpstreamImage:
        path, _ = ondisk.split_tag(self._tree, (ondisk.transport(source.image or "") or ("", ""))[1])
        self._tree.locate(path, source.what)
        self._found.items.append(changes.of_image(self._tree, path))  # before it is read, see `pack`
        image, openers = ondisk.find(self._tree, source, self._found.platforms, self._stack, version)
        self._found.openers |= openers
        return image

    def _registrys(self, source: ImageSource, local: EngineImage | None) -> UpstreamImage:
        """`local` is what the engine has by that name, for another platform."""
        reference = Reference.parse(source.image or "")
        mirror = self._outside.mirrors.of(reference)
        if mirror is not None:
            place = f"mirror {mirror.place}"
        else:
            place = f"registry {reference.host}" + (
                "" if self._outside.engine() is not None else ", as no engine answers"
            )
        self._progress.line(f"{source.image}: from the {place}")
        repository = self._outside.repository(reference)
        try:
            found = repository.find()
        except SourceError as error:  # it says the image; the graph's reader wants the node
            what, hint = f"{source.first}: {error.what}", error.hint
            if local is not None:
                what += f"; the local engine has it for {_platform_of(local)}"
                hint = f"--platform {_platform_of(local)} takes the engine's" + (f"; or: {hint}" if hint else "")
            raise SourceError(what, hint=hint) from error
        image = upstream(source, found.descriptor, found.data, repository, self._found.platforms)
        if reference.digest is None:
            self._found.items.append(Item("registry", str(reference), found.descriptor.digest.text))
        self._found.openers |= image.openers()
        return image


def _platform_of(image: EngineImage) -> Platform:
    return Platform(image.os, image.architecture, image.variant)
