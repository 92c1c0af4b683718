"""Who brought which image; the last app to let go of one takes it away, without a lock.

An app first claims the images that it brings, in the labels of an empty volume, and then looks whether they are there.
Who takes an image away first takes its name, keeping it by another one, and then looks whether an app claims it. Of two
that meet, one sees the other: the image gets its name back, or is loaded anew. The other name is its own each time;
where it is left by somebody who was killed, the image still counts as there. Who brings an image that has lost its name
waits for who lets go of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from bundler.errors import TargetError
from targets import ownership
from targets.engine.api import Conflict, Engine, NotThere

GOING = ".going-"  # after an image's own name in its other one
GOING_S = 10.0  # an image that has lost its name for so long was left by somebody who was killed
DELETING_S = 1.0  # an image without any name, for so long, is not just being deleted
POLL_S = 0.05
TAG_TRIES = 5

Payload = Mapping[str, Any]


def own_name(name: str) -> str:
    return name.partition(GOING)[0]


def volume(app: str, references: Iterable[str]) -> str:
    """The name of the volume that claims these images."""
    return ownership.claim_volume(app, ownership.digest(sorted(references)))


def payload(
    labels: Mapping[str, str], app: str, references: Iterable[str], images: Sequence[Payload]
) -> dict[str, object]:
    """Of a step that claims `references`. `images` are to be there then: what loading each needs."""
    claimed = sorted(references)
    name = volume(app, claimed)
    labels = {**labels, ownership.SPEC: name, ownership.IMAGES: ownership.canonical(claimed)}
    return {"do": "claim", "volume": name, "labels": labels, "images": images}


def wider(claim: Payload, gone: Sequence[Payload]) -> dict[str, object] | None:
    """The claim with what has gone, too; None if that is no more. Such an image was taken for somebody else's when the
    plan was made, because its last app was just letting go of it."""
    claimed = set(json.loads(claim["labels"][ownership.IMAGES]))
    more = {image["reference"] for image in gone} - claimed
    return payload(claim["labels"], claim["labels"][ownership.APP], claimed | more, ()) if more else None


@contextmanager
def letting_go(engine: Engine, target: str, app: str, references: Sequence[str]) -> Iterator[None]:
    """The claims of `app` are removed inside. Then each image goes, unless another app claims it or something runs of
    it. That they are going is seen from before the claims go until the end."""
    going = {reference: _rename(engine, reference) for reference in references}
    try:
        yield
    except BaseException:
        for reference, name in going.items():
            if name is not None:
                _give_back(engine, reference, name)
        raise
    for reference, name in going.items():
        while name is not None:
            name = _settle(engine, target, app, reference, name)


def wait_for_letting_go(engine: Engine, image_id: str, progress: Callable[[int], None]) -> None:
    """Waits while another app lets go of an image: Docker takes with its last name also those that it is given while it
    is deleted (moby, daemon/images/image_delete.go). An interruption ends it through `progress`."""
    began = time.monotonic()
    while (image := engine.image(image_id)) is not None:
        names = image.get("RepoTags") or ()
        limit = GOING_S if names else DELETING_S
        if any(own_name(name) == name for name in names) or time.monotonic() - began >= limit:
            return
        progress(0)
        time.sleep(POLL_S)


def take_away(engine: Engine, target: str, app: str, reference: str) -> None:
    """The same for an image that no other app claimed; what `app` says of it does not count."""
    with letting_go(engine, target, app, [reference]):
        pass


def _rename(engine: Engine, reference: str) -> str | None:
    """The image's new name. None where there is no image."""
    new = f"{reference}{GOING}{token_hex(4)}"
    for name in (reference, *_other_names(engine, reference)):
        if _tag(engine, name, new):
            engine.remove_image(reference)
            return new
    return None


def _tag(engine: Engine, name: str, new: str) -> bool:
    """False where no image has that name any more."""
    for left in reversed(range(TAG_TRIES)):
        try:
            engine.tag(name, new)
        except TargetError as error:
            if engine.image(name) is None:
                return False
            if not (left and isinstance(error, NotThere)):  # else another app has given the name back since
                raise
        else:
            break
    return True


def _settle(engine: Engine, target: str, app: str, reference: str, going: str) -> str | None:
    """Removes the image, or gives it its name back. Its next other name where somebody has given it back, and whoever
    claimed it has let go of it by now."""
    if reference in _claimed_by_others(engine, target, app):
        _give_back(engine, reference, going)
        return None if reference in _claimed_by_others(engine, target, app) else _rename(engine, reference)
    if engine.image(reference) is not None:  # given back by another app that was asking before this one's claim went
        return _rename(engine, reference)
    try:
        for name in (*_other_names(engine, reference), going):
            engine.remove_image(name)
    except Conflict:
        _give_back(engine, reference, going)
    return None


def _give_back(engine: Engine, reference: str, going: str) -> None:
    if _tag(engine, going, reference):  # else somebody has taken it away, as nobody claimed it any more
        engine.remove_image(going)


def _other_names(engine: Engine, reference: str) -> list[str]:
    """All of them: also those of others who are at it, and of those who were killed."""
    found = engine.images(f"{reference}{GOING}*")
    return [name for image in found for name in image.get("RepoTags") or () if own_name(name) == reference != name]


def _claimed_by_others(engine: Engine, target: str, app: str) -> set[str]:
    """The images that other apps bring, now."""
    labels = [volume.get("Labels") or {} for volume in engine.volumes()]
    others = [one for one in labels if not ownership.ours(one, target, app)]
    return {reference for one in others for reference in json.loads(one.get(ownership.IMAGES, "[]"))}
