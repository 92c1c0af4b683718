"""Images on their way into a real registry, as the plan has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_sample import Fixed
from images import image
from k8s_sample import plan
from test_k8s_life import serving

from bundler.edges.push import Registry
from bundler.model.oci import Descriptor
from bundler.model.plan import Step
from targets import tar
from targets.k8s import pushing
from targets.k8s.cluster import Settings
from targets.sample import sample, with_service

pytestmark = pytest.mark.peers


def _pushed(step: Step, fixed: Fixed) -> tuple[int, list[Descriptor]]:
    """How many bytes were told to whoever watches, and the layers that were sent."""
    told: list[int] = []
    fixed.blobs.streamed.clear()
    pushing.push(step.payload, fixed.blobs, told.append)
    layers = [pushing.descriptor(layer) for layer in step.payload["layers"]]
    return sum(told), [layer for layer in layers if layer.digest in fixed.blobs.streamed]


def test_what_images_share_is_sent_once_and_is_in_the_repository_of_each(tmp_path: Path) -> None:
    fixed = Fixed()
    base, mark = [tar.file("base", b"b" * 100_000)], [tar.file("mark", b"m" * 1000)]
    fixed.image = image(fixed.blobs, "app", [base], {})
    other = image(fixed.blobs, "other", [base, mark], {"User": "1"})
    release = sample(fixed)  # type: ignore[arg-type]  # the rest of a subject is not used
    release = with_service(replace(release, images=(*release.images, other)), "web", image="other")
    with serving(tmp_path) as address:
        steps = {step.resource: step for step in plan(release, settings=Settings(registry=address)).steps}
        first, second = steps["image/app"], steps["image/other"]
        shared, own = (pushing.descriptor(layer) for layer in second.payload["layers"])
        assert (first.moves_bytes, second.moves_bytes) == (shared.size_bytes, own.size_bytes)
        assert _pushed(first, fixed)[1] == [shared]
        told, sent = _pushed(second, fixed)
        assert sent == [own]
        assert told == second.moves_bytes + second.payload["config"]["size"]
        registry = Registry(address.partition("/")[0])
        assert registry.has("site/tgt-sample/other", shared)
        assert not registry.has("site/tgt-sample/none", shared)
        assert _pushed(second, fixed) == (second.moves_bytes, []), "it is there"
