"""What is needed of this machine, whatever the target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bundler.doctor.looks import Look
from bundler.edges import graphviz, pip, raster
from bundler.edges.engine import connect
from bundler.edges.room import room
from bundler.errors import BundleError
from bundler.model.finding import Finding
from bundler.model.graph import Graph, PythonBuild
from bundler.trust.keys import KeyStore

PART = "this machine"
_BUNDLES = "bundles and what they are made of"
_TRUST = "deploying signed bundles"
_ENGINE = "building the graph's Dockerfiles"
_PYTHON = "building Python projects without a Dockerfile"


def of_machine(keys: KeyStore, passphrase: bytes | None, places: Iterable[Path], graph: Graph | None) -> list[Look]:
    """`places` are those that are written to; `graph` is one that would be built."""
    nodes = (*graph.services, *graph.jobs) if graph is not None else ()
    builds = {type(node.build) for node in nodes}
    looks = [
        Look(PART, "room", _BUNDLES, lambda: _rooms(places)),
        Look(PART, "keys", _TRUST, lambda: _keys(keys, passphrase)),
        Look(PART, "pip", _PYTHON, lambda: [_pip(needed=PythonBuild in builds)]),
        Look(PART, "pictures", "bundle graph", _pictures),
    ]
    return [*looks, Look(PART, "Docker engine", _ENGINE, lambda: [_engine()])] if str in builds else looks


def _rooms(places: Iterable[Path]) -> Iterator[Finding]:
    """Of each file system once."""
    devices = set()
    for place in places:
        there = next(one for one in (place.absolute(), *place.absolute().parents) if one.exists())
        if (device := there.stat().st_dev) not in devices:
            devices.add(device)
            yield room(there, _BUNDLES)
        if not os.access(there, os.W_OK):
            hint = "as another user, or with another place"
            yield Finding("room", f"{there} may not be written to", _BUNDLES, ok=False, hint=hint)


def _keys(store: KeyStore, passphrase: bytes | None) -> Iterator[Finding]:
    listed = store.listed(passphrase)
    for one in listed:
        if one.problem:
            hint = "BUNDLE_KEY_PASSWORD gives it" if one.locked else "bundle keys list shows them all"
            yield Finding(f"key {one.name}", one.problem, "signing bundles", ok=False, needed=not one.locked, hint=hint)
    trusted = [one.name for one in listed if one.trusted]
    if trusted:
        signing = ", ".join(one.name for one in listed if one.signs and not one.problem) or "none"
        yield Finding("keys", f"trusted: {', '.join(trusted)}; to sign with: {signing}", _TRUST)
    else:
        hint = "the first build makes one; bundle keys trust FILE adds somebody's"
        yield Finding("keys", "none is trusted", _TRUST, ok=False, needed=False, hint=hint)


def _pip(*, needed: bool) -> Finding:
    try:
        return Finding("pip", pip.version(), _PYTHON, needed=needed)
    except BundleError as error:
        return Finding("pip", error.what, _PYTHON, ok=False, needed=needed, hint=error.hint)


def _engine() -> Finding:
    return Finding("Docker engine", f"answers, API {connect().api_version}", _ENGINE)


def _pictures() -> Iterator[Finding]:
    for what, purpose, found, missing in (
        ("Graphviz", "bundle graph -o FILE.svg, .html and .png", graphviz.found(), graphviz.MISSING),
        ("resvg", "bundle graph -o FILE.png", raster.found(), raster.MISSING),
    ):
        hint = None if found else missing
        yield Finding(what, found or "not installed", purpose, ok=bool(found), needed=False, hint=hint)
