"""Which of a bundle's platforms is deployed where the target's may not be seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bundler.model.bundle import BundleImage
from bundler.model.observed import UNKNOWN_PLATFORM, Observed
from bundler.model.oci import Platform


def assumed(observed: Observed, images: Iterable[BundleImage]) -> Observed:
    """The target is taken for what all images are for: of several platforms what the target guesses, if that is one."""
    if UNKNOWN_PLATFORM not in observed.host.features:
        return observed
    of_each = [{(one.platform.os, one.platform.architecture) for one in image.platforms} for image in images]
    common = set.intersection(*of_each) if of_each else set()
    guess = observed.host.platform
    if not common or (guess.os, guess.architecture) in common:
        return observed
    return replace(observed, host=replace(observed.host, platform=Platform(*min(common))))
