"""What each source of a build is now, to be compared with what it was at the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.collect import dockerfile, listing, manifests
from bundler.collect.output import Output
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree
from bundler.collect.record import Item, stamp_of
from bundler.graphfile import library
from bundler.model.oci import Platform

if TYPE_CHECKING:
    from bundler.model.graph import Config, Model

ENGINE_HAS_NONE = "absent"


def of_model(tree: SourceTree, model: Model) -> Item:
    return Item("model", model.source, stamp_of(listing.model_files(tree, model.name, model.source)))


def of_config(tree: SourceTree, config: Config) -> Item | None:
    """None for one whose content is in the graph itself."""
    path = config.file if config.file is not None else config.dir
    if path is None:
        return None
    files = listing.config_files(tree, config.name, file=config.file, directory=config.dir)
    return Item("config-dir" if config.file is None else "config-file", path, stamp_of(files))


def of_python(tree: SourceTree, folder: str, output: Output | None) -> Item:
    return Item("python", folder, _now(Item("python", folder, ""), tree, output))


def of_library(tree: SourceTree, folder: str) -> Item:
    """A folder of components: a file more may be a newer version."""
    return Item("library", folder, _now(Item("library", folder, ""), tree))


def of_image(tree: SourceTree, path: str) -> Item:
    """An image that lies on disk, in a file or a directory."""
    kind = "context" if (tree.root / path).is_dir() else "file"
    return Item(kind, path, _now(Item(kind, path, ""), tree))


def unchanged(item: Item, tree: SourceTree, outside: Outside, output: Output | None = None) -> bool:
    """Whether a source still is what `item` says. Raises SourceError where it is no longer there."""
    match item.kind:
        case "engine":
            engine = outside.engine()
            image = engine.inspect(item.text) if engine is not None else None
            stamp = image.id if image is not None else ENGINE_HAS_NONE
        case "platform":
            engine = outside.engine()
            stamp = str(manifests.normal(Platform(*engine.platform()))) if engine is not None else ENGINE_HAS_NONE
        case "registry":
            from bundler.collect.reference import Reference

            stamp = outside.repository(Reference.parse(item.text)).find().descriptor.digest.text
        case _:
            stamp = _now(item, tree, output)
    return stamp != "" and stamp == item.stamp


def _now(item: Item, tree: SourceTree, output: Output | None = None) -> str:
    """The stamp of a source on disk."""
    text = item.text
    match item.kind:
        case "model":
            return stamp_of(listing.model_files(tree, text, text))
        case "config-file":
            return stamp_of(listing.config_files(tree, text, file=text, directory=None))
        case "config-dir":
            return stamp_of(listing.config_files(tree, text, file=None, directory=text))
        case "file":
            return stamp_of([tree.file(tree.locate(text, text), text, text)])
        case "python":
            from bundler.collect import pyproject

            return stamp_of(pyproject.listing(tree, text, text, output))
        case "library":
            return stamp_of([tree.file(path, path.name, text) for path in library.files(tree.locate(text, text))])
        case "context":
            return dockerfile.context_stamp(tree.locate(text, text), output)
    return ""
