"""Who brought which image; the last app to let go of one takes it away, without a lock.

An app first claims its images, in the labels of an empty volume, and then looks whether they are there. Who takes an
image away first takes its name, keeping it by another one, and then looks whether an app claims it. Whatever the order,
one of the two sees the other: the image gets its name back, or is loaded anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bundler.contract import BlobSource
from bundler.errors import TargetError
from targets import ownership
from targets.engine import delivery
from targets.engine.api import Conflict, Engine, NotThere

GOING = ".going"  # the end of an image's other name

Payload = Mapping[str, Any]


def claim_labels(labels: Mapping[str, str], app: str, references: list[str]) -> tuple[str, dict[str, str]]:
    """The name of the volume that claims these images for an app, and its labels."""
    volume = ownership.claim_volume(app, ownership.digest(references))
    return volume, {**labels, ownership.SPEC: volume, ownership.IMAGES: ownership.canonical(references)}


def keep(engine: Engine, payload: Payload, blobs: BlobSource | None, progress: Callable[[int], None]) -> None:
    """Once the claim is made: loads those images that were there when the plan was made and have gone since. One that
    looked like somebody else's, because its last app had just let go of it, is claimed with the others."""
    labels = payload["labels"]
    gone = [image for image in payload["images"] if not _is_there(engine, image)]
    claimed = set(json.loads(labels[ownership.IMAGES]))
    if more := {image["reference"] for image in gone} - claimed:
        engine.create_volume(*claim_labels(labels, labels[ownership.APP], sorted(claimed | more)))
    for image in gone:
        if blobs is None:
            raise TargetError(f"image {image['reference']} is in the bundle, and no bundle was given")
        delivery.load(engine, image, blobs, progress)


def _is_there(engine: Engine, image: Payload) -> bool:
    found = engine.image(image["reference"])
    return found is not None and found["Id"] == image["pin"]


def take_away(engine: Engine, target: str, app: str, reference: str) -> None:
    """Unless another app claims the image, or something runs of it."""
    while _rename(engine, reference):
        if reference not in _claimed_by_others(engine, target, app):
            try:
                engine.remove_image(reference + GOING)
            except Conflict:
                _give_back(engine, reference)
            return
        _give_back(engine, reference)
        if reference in _claimed_by_others(engine, target, app):  # else they let go of it while it had no name
            return


def _rename(engine: Engine, reference: str) -> bool:
    """False where there is none."""
    try:
        engine.tag(reference, reference + GOING)
    except NotThere:
        return False
    engine.remove_image(reference)
    return True


def _give_back(engine: Engine, reference: str) -> None:
    with suppress(NotThere):  # another app, the last to claim it, has taken it away
        engine.tag(reference + GOING, reference)
    engine.remove_image(reference + GOING)


def _claimed_by_others(engine: Engine, target: str, app: str) -> set[str]:
    """The images that other apps bring, now."""
    labels = [volume.get("Labels") or {} for volume in engine.volumes()]
    others = [one for one in labels if not ownership.ours(one, target, app)]
    return {reference for one in others for reference in json.loads(one.get(ownership.IMAGES, "[]"))}
