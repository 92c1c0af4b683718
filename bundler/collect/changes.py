"""What each source of a build is now, to be compared with what it was at the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.collect import dockerfile, listing
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree
from bundler.collect.record import Item, stamp_of

if TYPE_CHECKING:
    from bundler.model.graph import Config, Model

ENGINE_HAS_NONE = "absent"


def of_model(tree: SourceTree, model: Model) -> Item:
    return _now(Item("model", model.source, ""), tree)


def of_config(tree: SourceTree, config: Config) -> Item | None:
    """None for one whose content is in the graph itself."""
    if config.file is not None:
        return _now(Item("config-file", config.file, ""), tree)
    return None if config.dir is None else _now(Item("config-dir", config.dir, ""), tree)


def of_image(tree: SourceTree, path: str) -> Item:
    """An image that lies on disk, in a file or a directory."""
    return _now(Item("context" if (tree.root / path).is_dir() else "file", path, ""), tree)


def unchanged(item: Item, tree: SourceTree, outside: Outside) -> bool:
    """Whether a source still is what `item` says. Raises SourceError where it is no longer there."""
    match item.kind:
        case "engine":
            engine = outside.engine()
            image = engine.inspect(item.text) if engine is not None else None
            stamp = image.id if image is not None else ENGINE_HAS_NONE
        case "registry":
            from bundler.collect.reference import Reference
            from bundler.collect.registry import Repository

            stamp = Repository(outside.http(), Reference.parse(item.text)).find().descriptor.digest.text
        case _:
            stamp = _now(item, tree).stamp
    return stamp != "" and stamp == item.stamp


def _now(item: Item, tree: SourceTree) -> Item:
    """A source on disk, with its stamp of this moment."""
    text = item.text
    match item.kind:
        case "model":
            stamp = stamp_of(listing.model_files(tree, text, text))
        case "config-file":
            stamp = stamp_of(listing.config_files(tree, text, file=text, directory=None))
        case "config-dir":
            stamp = stamp_of(listing.config_files(tree, text, file=None, directory=text))
        case "file":
            stamp = stamp_of([tree.file(tree.locate(text, text), text, text)])
        case "context":
            stamp = dockerfile.context_stamp(tree.locate(text, text), text)
        case _:
            stamp = ""
    return Item(item.kind, text, stamp)
