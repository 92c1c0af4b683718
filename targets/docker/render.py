"""A readable script of docker commands."""

from collections.abc import Mapping

from bundler.model.release import Release


def files(release: Release) -> Mapping[str, str]:
    return {}
