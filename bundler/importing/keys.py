"""Keys of a Compose file that become nothing in a graph, each with what is decided about it.

Closed: with the keys that the other modules translate (`TRANSLATED`, `ROOT`), it is every key there is; one that is in
neither is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

ROOT = frozenset({"name", "services", "volumes", "configs", "secrets"})
ROOT_LEFT_OUT: Mapping[str, str] = {
    "version": "Compose itself does not read it any more",
    "networks": "there are no networks in a graph: whoever connects to a node reaches it",
}
# Without the second option, paths are those of one machine, and nothing lies beside the file.
INTO_ONE = "`docker compose config --no-interpolate --no-path-resolution`"
OTHER_FILES = f"other files are not read; {INTO_ONE} writes them into one"
ROOT_REFUSED: Mapping[str, str] = {
    "include": OTHER_FILES,
    "models": "model runners are not imported; weights go into models: {NAME: {from: …}}",
}

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
    "security_opt": "what a program may do is said by user, read_only and cap_add",
    "cap_drop": "what a program may do is said by user, read_only and cap_add",
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
    "models": "model runners are not imported; weights go into models: {NAME: {from: …}}",
    "post_start": "nothing is run in a container that is running; what is done once is a job",
    "pre_stop": "nothing is run in a container that is running; stop_signal and stop_grace_period say how it ends",
    "pre_start": "what must be done before is a job with run: install or upgrade, and depends_on: [JOB]",
}
DEPLOY_TRANSLATED = frozenset({"replicas", "resources"})
DEPLOY_LEFT_OUT: Mapping[str, str] = {
    "mode": "what keeps running is a service, what ends is a job",
    "restart_policy": "services always restart; what ends is a job",
    "labels": "labels are the target's",
    "placement": "where it runs is the site's: placement: {services.NAME: {…}}",
    "update_config": "how it is replaced is the target's",
    "rollback_config": "how it is replaced is the target's",
    "endpoint_mode": "how names are resolved is the target's",
}
