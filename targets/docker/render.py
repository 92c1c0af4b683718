"""The release as a shell script of docker commands, for people to read. Pure.

It says what `bundle deploy` does through the engine's API; images, and the volumes of files and secrets, are the
deploy's to bring.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from bundler.model.release import Release
from targets import ownership
from targets.docker import containers
from targets.engine import planning
from targets.engine.workloads import Container
from targets.texts import TextJson, secret_variables

HEAD = """\
#!/bin/sh
# What `bundle deploy --target docker` runs. Images, files, secrets and weights are brought by `bundle deploy`;
# secrets in variables and arguments come from this script's environment.
set -eu
"""

Variables = Mapping[tuple[str, bool], str]
Json = Mapping[str, Any]


def files(release: Release) -> Mapping[str, str]:
    wanted, observed = planning.rendered(release)
    variables = secret_variables(release)
    by_name = {container.workload.name: container for container in wanted}
    order = dict.fromkeys([*(name for wave in release.waves for name in wave), *sorted(by_name)])
    app = ownership.network(release.app)
    lines = [HEAD, f"docker network create --label {ownership.APP}={release.app} {app}"]
    lines += [
        f"docker volume create --label {ownership.APP}={release.app} {ownership.volume(release.app, volume.name)}"
        for volume in release.volumes
    ]
    for name in order:
        if name in by_name:
            container = by_name[name]
            payload = containers.payload(release, wanted, container, observed)
            lines += ["", f"# {container.workload.resource}", *_commands(payload, container, variables)]
    return {"run.sh": "\n".join([*lines, ""])}


def _commands(payload: Json, container: Container, variables: Variables) -> Iterator[str]:
    for instance in payload["instances"]:
        body = payload["body"]
        words = ["docker run --detach", *_options(body, instance, variables)]
        entrypoint, command = body.get("Entrypoint"), body.get("Cmd") or []
        if entrypoint:
            words.append(f"--entrypoint {_word(entrypoint[0], variables)}")
            command = [*entrypoint[1:], *command]
        words.append(" ".join([f"{body['Image']}", *(_word(text, variables) for text in command)]))
        yield " \\\n    ".join(words)


def _options(body: Json, instance: Json, variables: Variables) -> Iterator[str]:
    host = body["HostConfig"]
    yield f"--name {instance['name']} --hostname {instance['node']}"
    yield f"--network {host['NetworkMode']} --network-alias {instance['node']}"
    policy = host["RestartPolicy"]
    count = f":{policy['MaximumRetryCount']}" if policy["MaximumRetryCount"] else ""
    yield f"--restart {policy['Name']}{count} --stop-timeout {body['StopTimeout']}"
    yield "--pull never"
    for ports in host.get("PortBindings", {}).items():
        for binding in ports[1]:
            yield f"--publish {binding['HostIp']}:{binding['HostPort']}:{ports[0]}"
    for name, text in [*body["Env"], *instance["environment"]]:
        yield f"--env {_word(_prefixed(name, text), variables)}"
    for mount in host["Mounts"]:
        yield f"--mount {shlex.quote(_mount(mount))}"
    for path, options in host.get("Tmpfs", {}).items():
        yield f"--tmpfs {shlex.quote(f'{path}:{options}')}"
    for key, option in _PLAIN:
        if key in body:
            yield f"{option} {shlex.quote(body[key])}"
    for key, option in _LIMITS:
        if key in host:
            yield f"{option} {host[key]}"
    if "NanoCpus" in host:
        yield f"--cpus {host['NanoCpus'] / containers.NS:g}"
    yield from (option for key, option in _SWITCHES if host.get(key))
    yield from (f"--cap-add {capability}" for capability in host.get("CapAdd", ()))
    for request in host.get("DeviceRequests", ()):
        yield f"--gpus {request['Count']}"
    yield from _health(body["Healthcheck"])
    yield from (f"--log-opt {name}={value}" for name, value in host.get("LogConfig", {}).get("Config", {}).items())
    for name, value in sorted(body["Labels"].items()):
        if name != ownership.PARTS:
            yield f"--label {shlex.quote(f'{name}={value}')}"


_PLAIN = (("User", "--user"), ("WorkingDir", "--workdir"), ("StopSignal", "--stop-signal"))
_LIMITS = (("Memory", "--memory"), ("MemorySwap", "--memory-swap"), ("ShmSize", "--shm-size"))
_SWITCHES = (("ReadonlyRootfs", "--read-only"), ("Init", "--init"))


def _health(health: Json) -> Iterator[str]:
    if health["Test"] == ["NONE"]:
        yield "--no-healthcheck"
        return
    yield f"--health-cmd {shlex.quote(shlex.join(health['Test'][1:]))}"
    for key, option in (("Interval", "interval"), ("Timeout", "timeout"), ("StartPeriod", "start-period")):
        yield f"--health-{option} {health[key] / containers.NS:g}s"
    yield f"--health-retries {health['Retries']}"


def _mount(mount: Json) -> str:
    parts = [f"type={mount['Type']}", f"source={mount['Source']}", f"target={mount['Target']}"]
    if mount.get("ReadOnly"):
        parts.append("readonly")
    if "VolumeFile" in mount:
        parts.append(f"volume-subpath={mount['VolumeFile']}")
    if mount["Type"] == "volume":
        parts.append("volume-nocopy")
    return ",".join(parts)


def _prefixed(name: str, text: TextJson) -> TextJson:
    return f"{name}={text}" if isinstance(text, str) else [f"{name}=", *text]


def _word(text: TextJson, variables: Variables) -> str:
    """One word of a shell: literal text quoted, secrets as variables."""
    if isinstance(text, str):
        return shlex.quote(text)
    pieces = []
    for part in text:
        if isinstance(part, str):
            pieces.append(shlex.quote(part))
        else:
            variable = variables[part["secret"], part["encoded"]]
            pieces.append(f'"${{{variable}:?}}"')
    return "".join(pieces)
