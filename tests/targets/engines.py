"""The docker and compose adapters as subjects of the conformance suite, on the engine that DOCKER_HOST names."""

from __future__ import annotations

import json
import socket
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from images import Blobs, image

from bundler.model.observed import LogLine
from bundler.model.release import Release, ReleaseDoor
from targets import tar
from targets.compose.target import ComposeTarget
from targets.docker.target import DockerTarget
from targets.engine.api import Engine
from targets.engine.target import EngineTarget
from targets.sample import Deployment, sample, service, settled, with_service

ADAPTERS: dict[str, type[EngineTarget]] = {"docker": DockerTarget, "compose": ComposeTarget}
IMAGES = "bundle.local/tgt-sample/*"
Meanwhile = Callable[..., None]


class OnEngine:
    """One adapter on a real engine, under an app name of its own."""

    def __init__(self, target: EngineTarget, program: bytes) -> None:
        self.target = target
        self.engine: Engine = target.engine
        self.app = f"tgt-{target.name}-{uuid.uuid4().hex[:6]}"
        self.blobs = Blobs()
        files = [tar.directory("tmp", mode=0o1777), tar.file("server", program, mode=0o755)]
        mark = [tar.file("app", self.app.encode())]  # so that no two tests' images are the same
        config = {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]}
        self.image = image(self.blobs, "app", [files, mark], config)
        self.config = self.blobs.add("text/plain", b"language: en\n")
        self.port = free_port()

    def stop(self, app: str, service: str) -> None:
        (instance,) = self.target.observe(app).of(f"service/{service}")
        self.engine.stop(instance.id)

    def plant(self, app: str) -> str:
        self.engine.create_volume(f"{app}_data", {"whose": "somebody's"})
        return f"{app}_data"

    def planted(self, app: str) -> bool:
        volume = self.engine.volume(f"{app}_data")
        return volume is not None and volume["Labels"] == {"whose": "somebody's"}

    def uproot(self, app: str) -> None:
        self.engine.remove_volume(f"{app}_data")

    def shown(self, app: str) -> str:
        shown: list[object] = [v for v in self.engine.volumes() if v["Name"].startswith(app)]
        shown += [n for n in self.engine.networks(app) if n["Name"] == app]
        for listed in self.engine.containers():
            if listed["Names"][0].startswith(f"/{app}"):
                container = self.engine.container(listed["Id"]) or {}
                del container["Config"]["Env"]
                shown += [listed, container]
        return json.dumps(shown, ensure_ascii=False)

    def remains(self, app: str) -> Sequence[str]:
        found = [c["Names"][0] for c in self.engine.containers() if c["Names"][0].startswith(f"/{app}")]
        found += [v["Name"] for v in self.engine.volumes() if v["Name"].startswith(f"{app}_")]
        found += [n["Name"] for n in self.engine.networks(app) if n["Name"] == app]
        return found + [
            r for i in self.engine.images(IMAGES) for r in i["RepoTags"] if r.startswith(self.image.reference)
        ]


def get(port: int, path: str) -> str:
    """What the program of `server.c` answers; raises for anything but 200."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def only(subject: OnEngine, **changes: object) -> Release:
    """One published service."""
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", subject.port)
    web = service("web", **{"doors": (door,), **changes})
    base = sample(subject)
    return replace(base, services=(web,), jobs=(), volumes=(), doors=(door,), waves=(("web",),))


def changed(release: Release, deployment: Deployment, name: str = "web", **changes: object) -> Release:
    return with_service(settled(release, deployment.observe()), name, **changes)


def logs(subject: OnEngine, name: str) -> list[LogLine]:
    return list(subject.target.logs(subject.app, name, follow=False, since=None, tail=None))
