"""Users, capabilities and Pod Security: under which level a workload can run, and what a pod is denied. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bundler.model.release import Workload
from targets.k8s import cluster as facts
from targets.k8s.cluster import Cluster, Level
from targets.k8s.names import Json

# Pod Security, baseline: https://kubernetes.io/docs/concepts/security/pod-security-standards/
BASELINE_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
RESTRICTED_CAPABILITIES = frozenset({"NET_BIND_SERVICE"})


def ids(user: str | None) -> tuple[int | None, int | None]:
    """uid and gid; Docker's group is 0 where none is named."""
    if user is None:
        return None, None
    uid, _, gid = user.partition(":")
    return int(uid), int(gid or 0)


def is_root(user: str | None) -> bool:
    """Also where nothing is known of the image's user."""
    return ids(user)[0] in (None, 0)


def level(workload: Workload, owners: Iterable[str | None]) -> Level:
    """The strictest level of Pod Security under which this workload can run; `owners` are the users who make its
    volumes' first content."""
    capabilities = {one.upper().removeprefix("CAP_") for one in workload.cap_add}
    if not capabilities <= BASELINE_CAPABILITIES:
        return Level.PRIVILEGED
    if any(is_root(user) for user in (workload.user, *owners)) or not capabilities <= RESTRICTED_CAPABILITIES:
        return Level.BASELINE
    return Level.RESTRICTED


def pod_security(user: str | None, cluster: Cluster) -> Json:
    made: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    uid, gid = ids(user)
    if uid is not None:
        made |= {"runAsUser": uid, "runAsGroup": gid}
    if not is_root(user):
        made |= {"runAsNonRoot": True, "fsGroup": gid, "fsGroupChangePolicy": "OnRootMismatch"}
    if uid is not None and facts.STRICT_GROUPS in cluster.features:
        made["supplementalGroupsPolicy"] = "Strict"  # not those that the image's /etc/group gives the user
    return made


def container_security(workload: Workload) -> Json:
    """Root keeps the capabilities that Docker gives it; others have none anyway, and may not gain any."""
    added = sorted(one.upper().removeprefix("CAP_") for one in workload.cap_add)
    made: Json = {}
    if workload.read_only:
        made["readOnlyRootFilesystem"] = True
    if not is_root(workload.user):
        made["allowPrivilegeEscalation"] = False
        made["capabilities"] = {"drop": ["ALL"]} | ({"add": added} if added else {})
    elif added:
        made["capabilities"] = {"add": added}
    return made


def init_container_security(user: str | None) -> Json:
    uid, gid = ids(user)
    made: Json = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    if uid is not None:
        made |= {"runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": not is_root(user)}
    if not is_root(user):
        made["capabilities"] = {"drop": ["ALL"]}
    return made
