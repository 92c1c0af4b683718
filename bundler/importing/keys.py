"""Keys of a Compose file and of its parts that become nothing in a graph, each with what is decided about it.

Closed: with the keys that the other modules translate, it is every key there is; one that is in neither is refused by
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler.graphfile.confidential import is_secret
from bundler.importing.report import Report
from bundler.importing.scalars import Unquoted

NETWORKS = "there are no networks in a graph: whoever connects to a node reaches it"
# Without the second option, paths are those of one machine, and nothing lies beside the file.
INTO_ONE = "`docker compose config --no-interpolate --no-path-resolution`"
_MODELS = "model runners are not imported; weights go into models: {NAME: {from: …}}"

TRANSLATED = frozenset(
    [
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "env_file",
        "depends_on",
        "links",
        "expose",
        "ports",
        "volumes",
        "volumes_from",
        "configs",
        "secrets",
        "healthcheck",
        "user",
        "working_dir",
        "read_only",
        "tmpfs",
        "init",
        "cap_add",
        "cap_drop",
        "security_opt",
        "stop_signal",
        "stop_grace_period",
        "deploy",
        "mem_limit",
        "cpus",
        "shm_size",
        "gpus",
        "runtime",
        "scale",
        "restart",
        "profiles",
        "extends",
        "container_name",
        "hostname",
        "networks",
        "extra_hosts",
        "network_mode",
        "pid",
        "ipc",
    ]
)

_HOST = "it belongs to the machine, and a graph runs on many"
LEFT_OUT: Mapping[str, str] = {
    "labels": "labels are the target's",
    "label_file": "labels are the target's",
    "annotations": "annotations are the target's",
    "logging": "programs write to standard output, and `bundle logs` reads it",
    "domainname": "nodes are reached by their names",
    "platform": "`bundle build --platform` says for which platforms a bundle is",
    "pull_policy": "a bundle holds its images; nothing is pulled",
    "pull_refresh_after": "a bundle holds its images; nothing is pulled",
    "stdin_open": "nobody sits at a terminal",
    "tty": "nobody sits at a terminal",
    "attach": "`bundle logs` reads what it writes",
    "develop": "it is for working on the sources",
    "dns": "names are the target's",
    "dns_search": "names are the target's",
    "dns_opt": "names are the target's",
    "ulimits": _HOST,
    "sysctls": _HOST,
    "oom_kill_disable": _HOST,
    "oom_score_adj": _HOST,
    "cgroup": _HOST,
    "cgroup_parent": _HOST,
    "userns_mode": _HOST,
    "uts": _HOST,
    "blkio_config": _HOST,
    "storage_opt": _HOST,
    "isolation": _HOST,
    "credential_spec": _HOST,
    "mac_address": _HOST,
    "group_add": "a program has the groups of its user",
    "cpu_count": "`resources: {cpus: …}` says how much it gets",
    "cpu_percent": "`resources: {cpus: …}` says how much it gets",
    "cpu_shares": "`resources: {cpus: …}` says how much it gets",
    "cpu_period": "`resources: {cpus: …}` says how much it gets",
    "cpu_quota": "`resources: {cpus: …}` says how much it gets",
    "cpu_rt_runtime": "`resources: {cpus: …}` says how much it gets",
    "cpu_rt_period": "`resources: {cpus: …}` says how much it gets",
    "cpuset": "`resources: {cpus: …}` says how much it gets",
    "mem_reservation": "the limit is what counts: resources: {memory: …}",
    "memswap_limit": "a memory limit is one without swap",
    "mem_swappiness": "a memory limit is one without swap",
    "pids_limit": "the number of processes is not limited",
}
REFUSED: Mapping[str, str] = {
    "privileged": "no container of a graph is privileged; cap_add names single capabilities",
    "devices": "devices are the machine's; for GPUs write resources: {gpus: 1}",
    "device_cgroup_rules": "devices are the machine's; for GPUs write resources: {gpus: 1}",
    "use_api_socket": "a graph does not reach the engine that it runs on",
    "external_links": "containers of other projects lie outside: declare them under externals",
    "provider": "what a plugin provides lies outside: declare it under externals",
    "models": _MODELS,
    "post_start": "nothing is run in a container that is running; what is done once is a job",
    "pre_stop": "nothing is run in a container that is running; stop_signal and stop_grace_period say how it ends",
    "pre_start": "what must be done before is a job with run: install or upgrade, and depends_on: [JOB]",
}


@dataclass(frozen=True, slots=True)
class Part:
    """The keys of one kind of map: those that are translated, and what is told of the others. `inner`: key -> the part
    that its map is, or each of its list; `named`: key -> the part that each of its names has."""

    taken: frozenset[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    inner: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)


_DOCKERFILE = "how an image is built is said in its Dockerfile"
_LABELS = "labels are the target's"
_REPLACED = "how it is replaced is the target's"
STORAGE = "where and how a volume is kept is the site's: storage"
_BY_NAME = "nodes are found by their names"
NO_OPTION = "a mount of a graph has no such option"
_SOURCE = "how it is kept is the target's"
_NAME = "the name of its node is its only one"
_MODE = ("uid", "gid", "mode")

PARTS: Mapping[str, Part] = {
    "file": Part(
        frozenset(["name", "include", "services", "volumes", "networks", "configs", "secrets"]),
        {"version": "Compose itself does not read it any more"},
        {"models": _MODELS},
        named={f"{part}s": part for part in ("volume", "network", "config", "secret")},
    ),
    "service": Part(
        TRANSLATED,
        LEFT_OUT,
        REFUSED,
        {
            **{key: key for key in ("env_file", "healthcheck", "ports", "deploy")},
            **{"volumes": "mount", "configs": "use of a config", "secrets": "use of a secret", "gpus": "gpu"},
        },
        {"depends_on": "depends_on", "networks": "use of a network"},
    ),
    # What is in neither has Compose build the image.
    "build": Part(
        frozenset(["context", "dockerfile"]),
        dict.fromkeys(
            (
                *("cache_from", "cache_to", "labels", "tags", "pull", "no_cache", "network", "platforms", "shm_size"),
                *("provenance", "sbom", "isolation", "privileged", "ulimits", "entitlements"),
            ),
            _DOCKERFILE,
        ),
    ),
    "include": Part(frozenset(["path", "project_directory", "env_file"])),
    "extends": Part(frozenset(["service", "file"])),
    "env_file": Part(frozenset(["path", "required", "format"])),
    "depends_on": Part(frozenset(["condition", "required", "restart"])),
    "healthcheck": Part(
        frozenset(["test", "interval", "timeout", "retries", "start_period", "disable"]),
        {"start_interval": "interval holds from the start"},
    ),
    "ports": Part(
        frozenset(["target", "published", "host_ip", "protocol"]),
        {
            "mode": "a door leads to all instances of a service",
            "name": "doors have the names of their nodes",
            "app_protocol": "what an endpoint speaks is said by expose: {NAME: {port: …, as: …}}",
        },
    ),
    "mount": Part(
        frozenset(["type", "source", "target", "read_only", "bind", "volume", "tmpfs"]),
        {"consistency": NO_OPTION},
        inner={key: f"mount.{key}" for key in ("bind", "volume", "tmpfs")},
    ),
    "mount.bind": Part(
        frozenset(["create_host_path"]), dict.fromkeys(("propagation", "recursive", "selinux"), NO_OPTION)
    ),
    "mount.volume": Part(
        frozenset(["subpath"]), {"nocopy": "a volume begins as what the image has there", "labels": _LABELS}
    ),
    "mount.tmpfs": Part(frozenset(["size"]), {"mode": "everybody may write to a tmpfs of a graph"}),
    "use of a config": Part(
        frozenset(["source", "target"]), dict.fromkeys(_MODE, "a config is everybody's to read, and nobody's to write")
    ),
    "use of a secret": Part(
        frozenset(["source", "target"]), dict.fromkeys(_MODE, "a secret is its user's alone to read")
    ),
    "use of a network": Part(
        frozenset(["aliases", "ipv4_address", "ipv6_address"]),
        dict.fromkeys(
            ("link_local_ips", "mac_address", "interface_name", "driver_opts", "priority", "gw_priority"), _BY_NAME
        ),
    ),
    "deploy": Part(
        frozenset(["replicas", "resources"]),
        {
            "mode": "what keeps running is a service, what ends is a job",
            "restart_policy": "services always restart; what ends is a job",
            "labels": _LABELS,
            "placement": "where it runs is the site's: placement: {services.NAME: {…}}",
            "update_config": _REPLACED,
            "rollback_config": _REPLACED,
            "endpoint_mode": "how names are resolved is the target's",
        },
        inner={"resources": "resources"},
    ),
    "resources": Part(
        frozenset(["limits", "reservations"]), inner={"limits": "limits", "reservations": "reservations"}
    ),
    "limits": Part(frozenset(["cpus", "memory"]), {"pids": "the graph limits CPUs, memory and GPUs"}),
    "reservations": Part(
        frozenset(["devices"]),
        dict.fromkeys(("cpus", "memory"), "the limit is what counts, and what a target reserves follows from it"),
        {"generic_resources": "a graph asks for CPUs, memory and GPUs"},
        {"devices": "gpu"},
    ),
    "gpu": Part(
        frozenset(["capabilities", "count", "device_ids", "driver"]), {"options": "how a GPU is used is the target's"}
    ),
    "network": Part(  # the first are said by `NETWORKS`
        frozenset(["name", "driver", "driver_opts", "ipam", "labels", "attachable", "enable_ipv4", "enable_ipv6"]),
        {
            "external": "what other projects have in it lies outside: declare what is needed under externals",
            "internal": "whether a node reaches what lies outside is the target's",
        },
    ),
    "volume": Part(frozenset(["driver_opts", "external"]), dict.fromkeys(("driver", "name", "labels"), STORAGE)),
    "config": Part(
        frozenset(["file", "content", "environment", "external"]),
        {"labels": _LABELS, "name": _NAME, "template_driver": _SOURCE},
    ),
    "secret": Part(
        frozenset(["file", "environment", "external"]),
        {"labels": _LABELS, "name": _NAME, **dict.fromkeys(("driver", "driver_opts", "template_driver"), _SOURCE)},
    ),
}


def account(part: str, data: Mapping[str, Any], where: str, report: Report) -> None:
    """Tell of every key that nobody translates; `where` is empty for the file itself."""
    known = PARTS[part]
    for key, value in data.items():
        place = f"{where}.{key}" if where else key
        if key in known.named and isinstance(value, dict):
            for name, each in value.items():
                account(known.named[key], each if isinstance(each, dict) else {}, f"{place}.{name}", report)
        for each in (value if isinstance(value, list) else [value]) if key in known.inner else ():
            if isinstance(each, dict):
                account(known.inner[key], each, place, report)
        if key in known.taken:
            _tell(value, place, report)
            continue
        if value in (False, "false", [], {}) and (key in known.left_out or key in known.refused):
            report.left_out(place, "it asks for nothing")
        elif key.startswith("x-"):
            report.left_out(place, "an extension is what the rest of the file makes of it")
        elif key in known.left_out:
            report.left_out(place, known.left_out[key])
        else:
            report.refused(place, known.refused.get(key, "no key that this version of bundle knows"))


def _tell(value: Any, where: str, report: Report) -> None:
    """Of scalars without quotes that are not what they look like; in an environment not even as texts."""
    name = where.partition(".environment.")[2]
    if isinstance(value, list):
        for part in value:
            _tell(part, where, report)
    elif isinstance(value, dict) and where.endswith(".environment"):
        for variable, part in value.items():
            _tell(part, f"{where}.{variable}", report)
    elif isinstance(value, Unquoted) and (name or not value.same):
        report.changed(where, "a number without quotes, as Compose makes it a text" if is_secret(name) else value.told)
