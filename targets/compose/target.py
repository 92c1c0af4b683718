"""The compose target: containers made by `docker compose up` from one document; the rest as on docker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from bundler.contract import BlobSource, Target
from bundler.edges import process
from bundler.edges.engine import context_name
from bundler.errors import TargetError
from bundler.model.finding import Finding
from bundler.model.observed import Observed, StoredSecret
from bundler.model.release import Release
from targets import ownership, texts
from targets.compose import document, text
from targets.engine import planning, workloads
from targets.engine.api import Json
from targets.engine.observe import COMPOSE_NUMBER, COMPOSE_PROJECT, COMPOSE_SERVICE, is_attached
from targets.engine.planning import Form
from targets.engine.target import EngineTarget, Payload, engine_of

_HINT = "install the Docker Compose plugin (version 2.24 or newer)"
_OLDEST = (2, 24)


def create(options: Mapping[str, str]) -> Target:
    """The entry point. `context` names a docker context; without it DOCKER_HOST or the current context does."""
    return ComposeTarget(engine_of(options, document.TARGET))


class ComposeTarget(EngineTarget):
    name = document.TARGET
    form = Form(document.names, document.payload, owns_project=True)

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        wanted, observed = planning.rendered(release)
        return {"compose.yaml": text.HEADER + text.write(document.document(release, wanted, observed.host))}

    def observe(self, app: str) -> Observed:
        observed = super().observe(app)
        if self._compose_version is not None:
            return observed
        return replace(observed, host=replace(observed.host, features=observed.host.features | {workloads.NO_COMPOSE}))

    def examine(self) -> Iterator[Finding]:
        yield from super().examine()
        version, purpose = self._compose_version, "deploying with --target compose"
        old = version is not None and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST
        told = "not installed" if version is None else f"{version}, which is too old" if old else version
        hint = _HINT if old or version is None else None
        yield Finding("Docker Compose plugin", told, purpose, ok=hint is None, hint=hint)

    @cached_property
    def _compose_version(self) -> str | None:
        """None where the docker program is not here, or has no such plugin."""
        if not process.has("docker"):
            return None
        done = process.run([process.find("docker", hint=_HINT), "compose", "version", "--short"])
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None

    def put_workload(self, payload: Payload, secrets: Mapping[str, StoredSecret]) -> None:
        """`up` for the named services: Compose keeps a container whose configuration is the document's, and
        replaces another. A job that has ended is removed first, so that it runs again. So is a container whose
        number comes after a gap: Compose numbers new ones after the last, and would never fill it; and an outdated one
        with volumes that only its image names: Compose would hand them on, and docker does not."""
        app, network = payload["app"], self._network_id(payload["app"])
        kept: set[tuple[str, int]] = set()
        for listed in sorted(self.engine.containers(), key=_number):
            labels = listed.get("Labels") or {}
            if labels.get(COMPOSE_PROJECT) == app and labels.get(COMPOSE_SERVICE) in payload["services"]:
                self._own(labels, f"container {listed['Names'][0].removeprefix('/')}", app)
                service, number = labels[COMPOSE_SERVICE], _number(listed)
                after_gap = number > 1 and (service, number - 1) not in kept
                handed_on = _has_unnamed_volumes(listed) and labels.get(ownership.SPEC) != payload["spec"]
                if after_gap or handed_on or not is_attached(listed, app, network):
                    self.engine.stop(listed["Id"])
                    self.engine.remove(listed["Id"])
                    continue
                kept.add((service, number))
                if listed["State"] == "paused":
                    self.engine.unpause(listed["Id"])
                elif payload["job"] and listed["State"] in ("exited", "dead"):
                    self.engine.remove(listed["Id"])
        command = ["up", "--detach", "--no-deps", "--no-build", "--pull", "never", *payload["services"]]
        self._compose(payload, command, secrets)

    def _compose(self, payload: Payload, command: list[str], secrets: Mapping[str, StoredSecret]) -> None:
        docker = process.find("docker", hint=_HINT)
        environment = {
            **_same_engine(self.engine.context),
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "COMPOSE_IGNORE_ORPHANS": "1",
            "COMPOSE_REMOVE_ORPHANS": "0",
            "COMPOSE_PROFILES": "",
            "DOCKER_DEFAULT_PLATFORM": "",
            document.VOLUMES: f"{self.engine.info['DockerRootDir']}/volumes",
        }
        for variable, part in payload["secrets"].items():
            if part["secret"] in secrets:
                environment[variable] = texts.reveal_text([part], secrets)
        project = ["compose", "--project-name", payload["app"], "--file", "-", "--ansi", "never", "--progress", "plain"]
        written = text.write(payload["document"]).encode()
        done = process.run([docker, *project, *command], stdin=written, env=environment)
        if done.returncode != 0:
            raise TargetError(f"docker compose {command[0]} {', '.join(payload['services'])}: {_reason(done.stderr)}")


def _has_unnamed_volumes(listed: Json) -> bool:
    """Whether the engine made volumes for the image's own VOLUMEs."""
    names = (mount.get("Name", "") for mount in listed.get("Mounts") or () if mount.get("Type") == "volume")
    return any(re.fullmatch("[0-9a-f]{64}", name) for name in names)


def _number(listed: Json) -> int:
    """Compose's number of a container, from 1; 0 for what is not Compose's."""
    number = (listed.get("Labels") or {}).get(COMPOSE_NUMBER, "")
    return int(number) if number.isdigit() else 0


def _same_engine(context: str | None) -> dict[str, str]:
    """What makes Compose talk to the engine that the API edge talks to."""
    name = context_name(context)
    return {"DOCKER_CONTEXT": "default"} if name is None else {"DOCKER_CONTEXT": name, "DOCKER_HOST": ""}


def _reason(stderr: bytes) -> str:
    """The last lines that are not progress."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Container ", "Network ", "Volume ", "#"))]
    return " ".join((telling or lines)[-3:]) or "no reason given"
