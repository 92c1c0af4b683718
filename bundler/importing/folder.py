"""The only part of an import that looks at a disk: what lies beside a Compose file, and what is written."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bundler.edges.files import failure, write_atomic
from bundler.errors import UsageError
from bundler.importing.mounts import MAX_CONFIG_BYTES, MAX_CONFIG_FILES, Copy
from bundler.importing.project import Data

MAX_TEXT_BYTES = 1 << 20
MAX_COPY_BYTES = 256 << 20  # of a folder that an image is built from


@dataclass(frozen=True, slots=True)
class Folder:
    """`project.Files` of a real folder. Symbolic links are followed: only what is packed must lie within."""

    root: Path

    def kind(self, path: str) -> str | None:
        found = self.root / path
        try:
            return "file" if found.is_file() else "dir" if found.is_dir() else None
        except OSError:  # such as a name that is too long
            return None

    def data(self, path: str) -> bytes | None:
        found = self.root / path
        try:
            return found.read_bytes() if found.is_file() and found.stat().st_size <= MAX_TEXT_BYTES else None
        except OSError:
            return None

    def text(self, path: str) -> str | None:
        try:
            found = self.data(path)
            return None if found is None else found.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def names(self, path: str) -> tuple[str, ...]:
        root = self.root / path
        if root.is_file():
            return ("",)
        found = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
        return tuple(sorted(str(each.relative_to(root)) for each in itertools.islice(found, MAX_CONFIG_FILES + 1)))

    def sizes(self, path: str) -> tuple[int, int]:
        return _sizes(self.root / path, MAX_CONFIG_FILES, MAX_CONFIG_BYTES)

    def outside(self, path: str) -> bool:
        top = self.root / path
        below = (Path(folder) / name for folder, *names in os.walk(top) for name in itertools.chain(*names))
        return any(_is_outside(each, self.root) for each in itertools.chain([top], below))


def write(out: Path, root: Path, texts: Iterable[tuple[str, str]], copies: Iterable[Copy], *, force: bool) -> None:
    """Write the files and what they name. UsageError, before anything is written, where one is there already and
    would be changed."""
    out.mkdir(parents=True, exist_ok=True)
    files = [(out / name, text) for name, text in texts]
    wanted = [(root / each.source, out / each.target) for each in copies]
    wanted = [(source, target) for source, target in wanted if source.resolve() != target.resolve()]
    for path in [*(path for path, _ in files), *(target for _, target in wanted)]:
        if path.exists() and not force:
            raise UsageError(f"{path} is there already", hint="-o DIR writes elsewhere, --force over it")
    for source, _ in wanted:
        if _sizes(source, 1 << 20, MAX_COPY_BYTES)[1] > MAX_COPY_BYTES:
            raise UsageError(
                f"{source} is larger than {MAX_COPY_BYTES >> 20} MiB, which is not copied",
                hint="without -o the graph is written beside the Compose file, and names it there",
            )

    def left_out(folder: str, names: list[str]) -> list[str]:
        """Links that lead out, which no build would follow either, and what git keeps."""
        return [name for name in names if name == ".git" or _is_outside(Path(folder) / name, root)]

    for source, target in wanted:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=force, ignore=left_out)
            else:
                shutil.copyfile(source, target)
        except (OSError, shutil.Error) as error:
            raise UsageError(f"{source} cannot be copied to {target}: {error}") from error
    for path, text in files:
        write_atomic(path, text.encode("utf-8"))


def site_from(site: Data, root: Path, out: Path) -> Data:
    """The site file with the paths of secrets as they are from where it is written."""
    made = {name: dict(each) for name, each in site.get("secrets", {}).items()}
    for each in made.values():
        if "file" in each and root.resolve() != out.resolve():
            each["file"] = os.path.relpath(root / each["file"], out.resolve())
    return {**site, "secrets": made} if made else site


def _is_outside(path: Path, root: Path) -> bool:
    try:
        return not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return True


def _sizes(path: Path, max_files: int, max_bytes: int) -> tuple[int, int]:
    """Files and bytes; counting ends where both limits are known to be passed."""
    try:
        if path.is_file():
            return 1, path.stat().st_size
        count = total = 0
        for folder, _, names in os.walk(path):
            for name in names:
                count += 1
                total += (Path(folder) / name).lstat().st_size
                if count > max_files or total > max_bytes:
                    return count, total
        return count, total
    except OSError as error:
        raise failure(error, path, "reading") from error
