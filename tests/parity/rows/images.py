"""What runs, and on what."""

from __future__ import annotations

from ..image import config_digest
from ..row import EXACT, refused, row, unsayable
from ..running import Running

OTHER_MACHINE = refused("image/app platform: the bundle has no linux/… image of app; it has linux/…")
NO_HOST = unsayable(
    "a graph names no path of a host",
    "there are no networks",
    "no container is privileged",
    "other devices are the host's",
)


@row(
    "images",
    """
services:
  app:
    image: docker-archive:./app.tar
    user: "10001:10001"
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
""",
    docker=EXACT,
    compose=EXACT,
    k8s=EXACT,
)
def images(run: Running) -> None:
    """What runs is what the bundle holds, by digest"""
    manifest = run.bundle("inspect", run.file, "--json").json()["images"][0]["digest"]
    assert run.place.image(run.app, "app") in (manifest, config_digest(run.file.parent / "images" / "app.tar"))


@row(
    "architecture",
    """
services:
  app:
    image: docker-archive:./other.tar
    user: "10001:10001"
    expose: {http: 7000}
""",
    platform="linux/OTHER",
    docker=OTHER_MACHINE,
    compose=OTHER_MACHINE,
    k8s=OTHER_MACHINE,
)
def architecture(run: Running) -> None:
    """A bundle without an image for the machine is not begun"""


@row(
    "host things (paths, network, devices, privileges)",
    """
services:
  app:
    image: docker-archive:./app.tar
    volumes: [/var/run/docker.sock:/var/run/docker.sock]
    network_mode: host
    privileged: true
    devices: [/dev/kvm]
""",
    docker=NO_HOST,
    compose=NO_HOST,
    k8s=NO_HOST,
)
def host_things(run: Running) -> None:
    """A graph has none; what lies outside is an external"""
