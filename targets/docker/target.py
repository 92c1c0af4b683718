"""The docker target: containers made one by one through the engine's API."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from bundler.contract import BlobSource, Target
from bundler.model.observed import StoredSecret
from bundler.model.release import Release
from targets import ownership
from targets.docker import containers, render
from targets.engine.api import Json
from targets.engine.observe import is_attached
from targets.engine.planning import Form
from targets.engine.target import EngineTarget, Payload, engine_of
from targets.texts import reveal_text

_SUBPATH_API = (1, 45)


def create(options: Mapping[str, str]) -> Target:
    """The entry point. `context` names a docker context; without it DOCKER_HOST or the current context does."""
    return DockerTarget(engine_of(options, containers.TARGET))


class DockerTarget(EngineTarget):
    name = containers.TARGET
    form = Form(containers.names, containers.payload)

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        return render.files(release)

    def put_workload(self, payload: Payload, secrets: Mapping[str, StoredSecret]) -> None:
        for instance in payload["instances"]:
            self._put(payload, instance, secrets)

    def _put(self, payload: Payload, instance: Mapping[str, Any], secrets: Mapping[str, StoredSecret]) -> None:
        """One container that is there and runs. The old one ends only when the new one is made."""
        engine, app, name = self.engine, payload["app"], instance["name"]
        successor = ownership.successor(name)
        there = engine.container(name)
        if there is not None:
            self._own(there["Config"].get("Labels"), f"container {name}", app)
            if self._is_current(payload, there) and is_attached(there, app, self._network_id(app)):
                self._run(there)
                return
        stale = engine.container(successor)
        if stale is not None:
            self._own(stale["Config"].get("Labels"), f"container {successor}", app)
            engine.remove(stale["Id"])
        body = self._body(payload, instance, secrets)
        if there is None:
            engine.start(engine.create(name, body))
            return
        new = engine.create(successor, body)
        engine.stop(there["Id"])
        engine.remove(there["Id"])
        engine.rename(new, name)
        engine.start(new)

    @staticmethod
    def _is_current(payload: Payload, there: Json) -> bool:
        """Whether a container is the wanted one. A job that has ended is made anew."""
        same = there["Config"].get("Labels", {}).get(ownership.SPEC) == payload["spec"]
        status = there["State"]["Status"]
        if status in ("dead", "removing"):
            return False
        return same and (not payload["job"] or status in ("running", "restarting", "paused", "created"))

    def _run(self, there: Json) -> None:
        match there["State"]["Status"]:
            case "paused":
                self.engine.unpause(there["Id"])
            case "running" | "restarting":
                return
            case _:
                self.engine.start(there["Id"])

    def _body(self, payload: Payload, instance: Mapping[str, Any], secrets: Mapping[str, StoredSecret]) -> Json:
        body: Json = copy.deepcopy(payload["body"])
        pairs = [*body["Env"], *instance["environment"]]
        body["Env"] = [f"{key}={reveal_text(text, secrets)}" for key, text in pairs]
        for key in ("Entrypoint", "Cmd"):
            if key in body:
                body[key] = [reveal_text(text, secrets) for text in body[key]]
        body["Hostname"] = instance["node"]
        body["Labels"][ownership.INDEX] = str(instance["index"])
        body["NetworkingConfig"] = {
            "EndpointsConfig": {body["HostConfig"]["NetworkMode"]: {"Aliases": [instance["node"]]}}
        }
        body["HostConfig"]["Mounts"] = [self._mount(mount) for mount in body["HostConfig"]["Mounts"]]
        return body

    def _mount(self, mount: Json) -> Json:
        """A single file of a volume: by subpath where the engine knows it, else from the volume's place there."""
        file = mount.pop("VolumeFile", None)
        if file is None:
            return mount
        if self.engine.api_version >= _SUBPATH_API:
            return mount | {"VolumeOptions": {"NoCopy": True, "Subpath": file}}
        volume = self.engine.volume(mount["Source"]) or {}
        return {
            "Type": "bind",
            "Source": f"{volume.get('Mountpoint')}/{file}",
            "Target": mount["Target"],
            "ReadOnly": True,
        }
