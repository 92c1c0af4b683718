"""`build: {python: ./app}` -> an image, without an engine and without running anything of the project.

Reads the project, asks pip for wheels where they are not kept from the last time. Writes unpacked wheels into a
directory beside the output while the build lasts, and wheels into the cache.
Next: `images` stores the layers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bundler.collect import pyproject, requirements, wheels
from bundler.collect.output import Output
from bundler.collect.paths import SourceTree
from bundler.collect.pyproject import Project
from bundler.collect.pythonimage import PythonImage, PythonPart, exact_version
from bundler.collect.record import BuildRecord
from bundler.collect.sources import ImageSource, Opener, OwnImage, UpstreamImage
from bundler.collect.treelayer import TreeLayer
from bundler.edges.files import check_private, private_directory
from bundler.errors import BundleError, SourceError
from bundler.model.graph import PythonBuild
from bundler.model.oci import Digest, Platform
from bundler.model.progress import Progress

# The oldest glibc that a base may have is that of Debian 12, Ubuntu 22.04 and RHEL 9; the oldest of a wheel is 2.5
# (PEP 513). pip adds what manylinux2014 includes by its old names.
GLIBC = (*(f"manylinux_2_{minor}" for minor in range(34, 4, -1)), "manylinux2014")


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the images of one build. `cache` keeps wheels by lock; `stack` removes what was unpacked. `known` are
    layers of earlier builds, by their wheels, and `made` takes those of this one."""

    tree: SourceTree
    output: Output | None
    cache: Path | None
    known: Mapping[str, BuildRecord]
    made: dict[str, BuildRecord]
    stack: ExitStack
    progress: Progress

    def image(
        self,
        source: ImageSource,
        build: PythonBuild,
        base: OwnImage | UpstreamImage,
        platforms: Sequence[Platform],
    ) -> tuple[PythonImage, Mapping[Digest, Opener]]:
        """The image, and how to read the layers that are put on its base."""
        what = source.what
        project = pyproject.read(self.tree, build, what, self.output)
        program = project.program(build.version)
        require_program(project, build, what, silent=source.silent)
        self.progress.phase(f"python {build.project}")
        app = TreeLayer(project.entries(build.version), what)
        app_digest = app.digest()
        openers: dict[Digest, Opener] = {app_digest: app.pieces}
        parts = []
        for platform in platforms:
            exact = exact_version(base, platform, build.version)
            requirements.require_python(project.required, exact, what)
            packages = self._packages(project, build, exact, platform, what)
            added: tuple[Digest, ...] = (app_digest,)
            if packages is not None:
                digest, openers[packages[0]] = packages
                added = (digest, app_digest)
            parts.append(PythonPart(platform, added))
        image = PythonImage(source, base, tuple(parts), build.version, project.import_path, program)
        return image, openers

    def _packages(
        self, project: Project, build: PythonBuild, exact: str, platform: Platform, what: str
    ) -> tuple[Digest, Opener] | None:
        """The layer of wheels; None where the project needs none. They are unpacked where the layer is not known.
        `exact` is the base's Python, for markers."""
        pins = project.lock.on(platform, exact, what)
        text = project.lock.text(platform, exact, what)
        found = self._wheels(project, text, build.version, platform, what) if text else ()
        wants = {requirements.normal(wheel.name.partition("-")[0]): wheels.requirements(wheel, what) for wheel in found}
        requirements.require_closed(pins, wants, project.needs, platform, exact, what, project.locking)
        if not found:
            return None

        @cache
        def layer() -> TreeLayer:
            return TreeLayer(wheels.unpack(found, self._directory(), build.version, what), what)

        key = _key(found, build.version)
        old = self.known.get(key)
        digest = Digest(old.image) if old is not None else layer().digest()
        self.made[key] = BuildRecord("", digest.text, {})
        return digest, lambda: layer().pieces()

    def _wheels(self, project: Project, text: str, version: str, platform: Platform, what: str) -> tuple[Path, ...]:
        machine = requirements.MACHINES.get(platform.architecture)
        if platform.os != "linux" or machine is None:
            raise SourceError(f"{what}: there are no wheels for {platform}", hint="write a Dockerfile: build: ./folder")
        kept = self._kept(text, version, machine) if project.wheels is None else None
        if kept is not None and (there := _complete(kept)):
            return there
        work = self._directory()
        (work / requirements.FILE).write_text(text, encoding="utf-8")
        from bundler.edges import pip

        into = work / "wheels"
        into.mkdir()
        self.progress.line(f"{what}: wheels for Python {version} on {platform}")
        machines = [f"{glibc}_{machine}" for glibc in GLIBC]
        pip.download(
            work / requirements.FILE,
            into,
            machines=machines,
            version=version,
            wheels=project.wheels,
            what=what,
            where=str(platform),
        )
        if kept is not None:
            _keep(into, kept)
        return tuple(sorted(into.glob("*.whl")))

    def _kept(self, text: str, version: str, machine: str) -> Path | None:
        """Where the wheels of a lock are kept."""
        key = hashlib.sha256(f"{version} {machine}\n{text}".encode()).hexdigest()
        return self.cache / "wheels" / key[:40] if self.cache is not None else None

    def _directory(self) -> Path:
        """An empty one that is gone when the build is over; builds know its name, see `Output.left_out`."""
        where = (self.output.path.parent, f".{self.output.path.name}.") if self.output is not None else (None, None)
        made = tempfile.mkdtemp(dir=where[0], prefix=where[1], suffix=".part")
        self.stack.callback(shutil.rmtree, made, ignore_errors=True)
        return Path(made).resolve()


def look(tree: SourceTree, build: PythonBuild, *, silent: bool, what: str) -> None:
    """Raises SourceError for what a build would not do without asking an index or a base."""
    require_program(pyproject.read(tree, build, what), build, what, silent=silent)


def require_program(project: Project, build: PythonBuild, what: str, *, silent: bool) -> None:
    """`silent`: a workload says neither command nor entrypoint."""
    if silent and project.program(build.version) is None:
        several = f"{len(project.scripts)} scripts" if len(project.scripts) > 1 else "no script"
        raise SourceError(
            f"{what}: nothing says what runs: {several} in pyproject.toml, and not one package with a __main__.py",
            hint=f"write command: [python{build.version}, main.py] beside build, or [project.scripts] there",
        )


def _key(found: Sequence[Path], version: str) -> str:
    """The layer is a function of these."""
    digests = []
    for path in found:
        with path.open("rb") as file:
            digests.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return f"python:{hashlib.sha256(json.dumps([version, sorted(digests)]).encode()).hexdigest()}"


def _complete(kept: Path) -> tuple[Path, ...]:
    """Wheels of an earlier build; none where somebody else may have put them there."""
    with suppress(BundleError, OSError):
        for path in (kept.parent, kept):
            check_private(path)
        return tuple(sorted(kept.glob("*.whl")))
    return ()


def _keep(found: Path, kept: Path) -> None:
    """Into the cache, in one rename; a cache that cannot be written is no error."""
    with suppress(BundleError, OSError):
        private_directory(kept.parent)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            shutil.copytree(found, Path(work) / "wheels")
            (Path(work) / "wheels").chmod(0o700)
            (Path(work) / "wheels").rename(kept)
