"""Words of Compose and its neighbours that a graph does not have, and what to write here instead."""

from __future__ import annotations

from collections.abc import Mapping

_SITE = "this stands in the site file: "
_BEFORE = "what must be done before is a job with run: install or upgrade, and depends_on: [JOB]"

ROOT: Mapping[str, str] = {
    "name": "the name of the system is given as: bundle: NAME",
    "networks": "there are no networks: whoever connects to a node reaches it",
    "service": "write services",
    "variant": "a variant is a file of its own beside the graph: variants/NAME.yaml",
    "of": "this is a key of a variant, variants/NAME.yaml",
    "include": "a graph is one file",
    "site": "this is a key of a site file; give that with --site",
    "target": "this is a key of a site file; give that with --site",
    "namespace": "this is a key of a site file; give that with --site",
    "storage": "this is a key of a site file; give that with --site",
    "placement": "this is a key of a site file; give that with --site",
    "x-common": "a graph has no extensions",
    "endpoints": "a service says which ports it listens on: expose: {http: 8080}",
    "ports": "front doors are under publish: {DOOR: service.endpoint}",
    "env": "environment belongs to a service or a job",
    "environment": "environment belongs to a service or a job",
    "apiVersion": "a graph is no Kubernetes manifest: it begins with bundle: NAME and version: VERSION",
    "kind": "a graph is no Kubernetes manifest: it begins with bundle: NAME and version: VERSION",
}

WORKLOAD: Mapping[str, str] = {
    "ports": (
        "the ports the program listens on go into expose: {http: 8080}; "
        "what people outside may reach goes into publish: {DOOR: service.http}"
    ),
    "restart": "services always restart; what ends by itself is a job",
    "networks": "there are no networks: whoever connects to a node reaches it",
    "network_mode": "there are no networks: whoever connects to a node reaches it",
    "links": "write connect: {slot: node.endpoint}",
    "external_links": "declare it under externals and connect to it",
    "container_name": "nodes reach each other through connect; names of containers are the target's",
    "hostname": "nodes reach each other through connect; host names are the target's",
    "deploy": "write resources: {cpus, memory, gpus} and scale: {min, max}",
    "replicas": "write scale: {min: N, max: N}",
    "env_file": "write the variables under environment; what differs between sites goes into values and secrets",
    "env": "write environment",
    "envFrom": "write environment: {NAME: text}",
    "privileged": "no container is privileged; cap_add names single capabilities",
    "cap_drop": "cap_add names what is needed on top of the engine's default",
    "security_opt": "this is the target's; read_only, user and cap_add are the graph's",
    "extra_hosts": "declare what lies outside under externals and connect to it",
    "dns": "nodes reach each other through connect; what lies outside is an external",
    "expose_ports": "write expose: {http: 8080}",
    "port": "write expose: {http: 8080}",
    "labels": "labels are the target's",
    "logging": "logs are read with `bundle logs`; a program writes them to its standard output",
    "profiles": "leave nodes out in a variant, or make a door optional",
    "pid": "containers share no namespaces with the host",
    "ipc": "for shared memory write resources: {shm: 1GiB}",
    "shm_size": "write resources: {shm: 1GiB}",
    "mem_limit": "write resources: {memory: 1GiB}",
    "mem_reservation": "write resources: {memory: 1GiB}",
    "memory": "write resources: {memory: 1GiB}",
    "cpus": "write resources: {cpus: 1}",
    "cpu_shares": "write resources: {cpus: 1}",
    "gpus": "write resources: {gpus: 1}",
    "devices": "for GPUs write resources: {gpus: 1}; other devices are the host's",
    "runtime": "the runtime is the target's; for GPUs write resources: {gpus: 1}",
    "sysctls": "these are the host's",
    "ulimits": "these are the host's",
    "pull_policy": "a bundle holds its images; nothing is pulled",
    "platform": "`bundle build --platform` says which platforms are packed",
    "extends": "a graph repeats nothing: use a variant for what differs",
    "workdir": "write working_dir",
    "args": "write command: [a list]",
    "cmd": "write command: [a list]",
    "mounts": "write volumes, configs, secrets and models, each a list of name:/path",
    "config": "write configs: [name:/path]",
    "depends": "write depends_on",
    "tty": "nobody sits at a terminal",
    "stdin_open": "nobody sits at a terminal",
    "userns_mode": "this is the host's",
    "needs": "write connect: {slot: node.endpoint}",
    "target": "the Dockerfile's last stage is built",
    "dockerfile": "build names a directory with a file called Dockerfile",
    "pre_start": _BEFORE,
    "initContainers": _BEFORE,
    "init_containers": _BEFORE,
}

SERVICE: Mapping[str, str] = {
    **WORKLOAD,
    "run": "a service always runs; what runs at a time or once is a job",
    "workers": "workers belong to a job; a service has scale: {min, max}",
    "retries": "services always restart; what ends by itself is a job",
    "timeout": "services do not end; a health check has its own timeout",
    "readiness": "write healthcheck",
    "readinessProbe": "write healthcheck",
    "livenessProbe": "write liveness",
    "publish": "publish stands beside services: publish: {DOOR: service.endpoint}",
}

JOB: Mapping[str, str] = {
    **WORKLOAD,
    "use": "a component is used by a service",
    "parts": "a component is used by a service",
    "expose": "a job listens on no port; what others connect to is a service",
    "scale": "a job has workers: N",
    "healthcheck": "a job is well when it ends with status 0",
    "liveness": "a job is well when it ends with status 0; timeout ends one that hangs",
    "outputs": "a job has no endpoints; what others connect to is a service",
    "schedule": 'write run: "0 3 * * *"',
    "cron": 'write run: "0 3 * * *"',
    "backoff_limit": "write retries",
    "parallelism": "write workers",
    "completions": "write workers",
}

_FOLDER = "write the folder alone: build: ./folder"
BUILD: Mapping[str, str] = {
    "context": _FOLDER,
    "dockerfile": _FOLDER,
    "args": _FOLDER,
    "target": "the Dockerfile's last stage is built",
    "image": "write base",
    "python_version": "write version",
    "requirements": "the project's requirements.txt pins what it needs",
    "command": "write command beside build",
    "entrypoint": "write entrypoint beside build",
    "user": "write user beside build",
}

HEALTHCHECK: Mapping[str, str] = {
    "disable": "leave the health check out",
    "start_interval": "interval holds from the start",
    "path": "write http: /path",
    "cmd": "write test: [a list]",
    "command": "write test: [a list]",
    "httpGet": "write http: /path",
    "initial_delay": "write start_period: failures before it ends do not count",
}

RESOURCES: Mapping[str, str] = {
    "limits": "write cpus, memory and gpus directly under resources",
    "reservations": "write cpus, memory and gpus directly under resources",
    "requests": "write cpus, memory and gpus directly under resources",
    "cpu": "write cpus",
    "mem": "write memory",
    "shm_size": "write shm",
    "gpu": "write gpus",
    "devices": "write gpus: N",
}

VOLUME: Mapping[str, str] = {
    "driver": _SITE + "storage: {NAME: {class: …}}",
    "driver_opts": _SITE + "storage: {NAME: {class: …}}",
    "class": _SITE + "storage: {NAME: {class: …}}",
    "external": "a volume is made at the site; data from outside is an external, or is brought in by a job",
    "name": "names of volumes at the site are the target's",
    "shared": "whether a volume is shared follows from who mounts it",
    "access": "whether a volume is shared follows from who mounts it",
    "path": "a graph names no path of a host",
}

SECRET: Mapping[str, str] = {
    "file": _SITE + "secrets: {NAME: {file: …}}",
    "environment": _SITE + "secrets: {NAME: {env: …}}",
    "env": _SITE + "secrets: {NAME: {env: …}}",
    "external": "write {}: the site must give it",
    "value": "no secret stands in a graph: write {}, and the site gives it, or {generate: 24}",
    "content": "no secret stands in a graph: write {}, and the site gives it, or {generate: 24}",
    "length": "write generate: N",
    "default": "no secret stands in a graph: write {generate: 24}",
}

CONFIG: Mapping[str, str] = {
    "path": "write file: ./name, or dir: ./folder",
    "external": "a graph holds its configs: write file, dir or content",
    "environment": "write content: with ${values.…} in it",
    "text": "write content",
    "mode": "config files are readable by everyone in the container (0444)",
}

MODEL: Mapping[str, str] = {"source": "write from", "file": "write from", "path": "write from", "image": "write from"}

EXTERNAL: Mapping[str, str] = {
    "type": "write as: TYPE",
    "host": _SITE + "externals: {NAME: {host: …}}",
    "url": _SITE + "externals: {NAME: {url: …}}",
    "endpoint": _SITE + "externals: {NAME: {endpoint: …}}",
}

VALUE: Mapping[str, str] = {
    "required": "a value without a default must be given by the site",
    "min": "write minimum",
    "max": "write maximum",
    "choices": "write enum",
    "const": "a value that nobody can turn is plain text",
    "format": "write pattern",
    "value": "write default",
    "$ref": "values are written out",
    "oneOf": "values are plain: type, enum and bounds",
    "anyOf": "values are plain: type, enum and bounds",
}

DOOR: Mapping[str, str] = {
    "host": _SITE + "publish: {DOOR: {host: …}}",
    "port": _SITE + "publish: {DOOR: {port: …}}",
    "bind": _SITE + "publish: {DOOR: {bind: …}}",
    "tls": _SITE + "publish: {DOOR: {tls: …}}",
    "path": "a door leads to a whole endpoint",
    "service": "write to: service.endpoint",
}
