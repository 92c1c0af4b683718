"""Whether the nodes have room for the pods of a plan, as far as requests tell. Pure.

Only what is certain is said: a pod that fits no node by itself, or services that ask for more together than all nodes
have left. Amounts are by resource, in thousandths. https://kubernetes.io/docs/concepts/scheduling-eviction/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bundler.model.plan import Action, Step
from targets.k8s import names
from targets.k8s.names import Json
from targets.k8s.nodes import closing, is_cordoned

Amounts = Mapping[str, int]

PODS = "pods"  # how many a node takes
LESS = "let the graph ask for less (`resources`)"
LARGER = f"add a larger node, or {LESS}"
MORE = f"make room there, add a node, or {LESS}"
AWAY = f"{MORE}; `bundle remove` takes the old one away first, and its data stays"
_UNITS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


@dataclass(frozen=True, slots=True)
class Lack:
    """Why pods of a resource would wait, and what to do about it."""

    resource: str
    feature: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pods of a workload: `count` at once, each of `each`. `beside`: the first of them starts while its
    predecessor still runs. `stays`: and they go on running."""

    resource: str
    node: str
    each: Amounts
    count: int
    beside: bool
    stays: bool


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    whole: Amounts
    closed: tuple[str, ...]  # the taints or the mark that keep pods away


def lacking(steps: Sequence[Step], nodes: Sequence[Json], pods: Sequence[Json] | None, app: str) -> list[Lack]:
    """What the steps' pods do not find on the nodes; `pods` are those of all namespaces, None where nobody may see."""
    wanted = list(_wanted(steps))
    there = [_node(one) for one in nodes]
    if not wanted or not there:
        return []
    found: list[Lack] = []
    fitting: list[Wanted] = []
    for one in wanted:
        choice = [node for node in there if _takes(node, one)]
        lack = _too_large(one, choice) if choice else _closed(one, there)
        found += [lack] if lack else []
        fitting += [] if lack else [one]
    if pods is not None:
        found += _no_room(fitting, there, pods, app)
    return found


def places_pods(steps: Iterable[Step]) -> bool:
    return any(True for _ in _wanted(steps))


def _takes(node: Node, wanted: Wanted) -> bool:
    """Taints that are named after a device are let pass for pods that ask for it (ExtendedResourceToleration)."""
    return all(one in wanted.each for one in node.closed)


def _closed(wanted: Wanted, nodes: Sequence[Node]) -> Lack:
    why = ", ".join(f"{node.name} ({', '.join(node.closed)})" for node in nodes[:3])
    return Lack(wanted.resource, "room", f"no node takes pods: {why}", MORE)


def _too_large(wanted: Wanted, nodes: Sequence[Node]) -> Lack | None:
    """What is larger than any node, whatever else is on it."""
    for kind, amount in sorted(wanted.each.items()):
        largest = max(nodes, key=lambda node: node.whole.get(kind, 0))
        has = largest.whole.get(kind, 0)
        if amount > has:
            reason = f"{_asks(kind, amount)}; the largest node, {largest.name}, has {said(kind, has)}"
            return Lack(wanted.resource, kind, reason, LARGER)
    return None


def _no_room(wanted: Sequence[Wanted], nodes: Sequence[Node], pods: Sequence[Json], app: str) -> list[Lack]:
    """What does not fit now. Pods that the plan replaces count as gone already, but for a successor that starts beside
    them."""
    replaced = {one.node for one in wanted}
    free = {node.name: dict(node.whole) for node in nodes}
    own: dict[str, dict[str, dict[str, int]]] = {}
    for pod in pods:
        node, mine = pod["spec"].get("nodeName"), names.ours(pod, app)
        if node not in free or pod["metadata"].get("deletionTimestamp") or _ended(pod):
            continue
        of = (pod["metadata"].get("labels") or {}).get(names.NODE, "") if mine else ""
        taken = own.setdefault(of, {}).setdefault(node, {}) if of in replaced else free[node]
        sign = 1 if of in replaced else -1
        for kind, amount in requests(pod["spec"]).items():
            taken[kind] = taken.get(kind, 0) + sign * amount
    found: list[Lack] = []
    for one in wanted:
        choice = {node.name: free[node.name] for node in nodes if _takes(node, one)}
        lack = _squeezed(one, choice, own.get(one.node, {}) if one.beside else {})
        found += [lack] if lack else []
    staying = [one for one in wanted if one.stays]
    return found or _together(staying, [free[node.name] for node in nodes if any(_takes(node, o) for o in staying)])


def _squeezed(wanted: Wanted, free: Mapping[str, Amounts], own: Mapping[str, Amounts]) -> Lack | None:
    """A pod for which no node has enough of everything left."""
    left = {
        node: {kind: amounts.get(kind, 0) - own.get(node, {}).get(kind, 0) for kind in wanted.each}
        for node, amounts in free.items()
    }
    if any(all(amounts[kind] >= asked for kind, asked in wanted.each.items()) for amounts in left.values()):
        return None
    short = [kind for kind, asked in wanted.each.items() if all(one[kind] < asked for one in left.values())]
    kind = min(short or wanted.each)
    most = max(sorted(left), key=lambda node: left[node][kind])
    asks = _asks(kind, wanted.each[kind]) + (" beside the one that it replaces" if own else "")
    reason = f"{asks}; the node with most left, {most}, has {said(kind, max(0, left[most][kind]))}"
    if kind == PODS:
        reason = "no node takes one pod more" + (" beside the one that is replaced" if own else "")
    if not short:
        reason = f"{asks}; the nodes that have that left have too little of something else"
    return Lack(wanted.resource, kind, reason, AWAY if own else MORE)


def _together(wanted: Sequence[Wanted], free: Sequence[Amounts]) -> list[Lack]:
    for kind in sorted({kind for one in wanted for kind in one.each}):
        asked = sum(one.each.get(kind, 0) * one.count for one in wanted)
        left = sum(max(0, amounts.get(kind, 0)) for amounts in free)
        if asked > left:
            reason = f"together they ask for {said(kind, asked)}; the nodes have {said(kind, left)} left"
            if kind == PODS:
                reason = f"together they are {asked // 1000} pods; the nodes take {left // 1000} more"
            return [Lack("services", kind, reason, MORE)]
    return []


# amounts


def quantity(text: object) -> int:
    """Thousandths of a quantity as Kubernetes writes it. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""
    told = re.fullmatch(r"([+-]?[0-9.]+)(?:[eE]([+-]?[0-9]+)|([A-Za-z]{0,2}))", str(text))
    if told is None:
        return 0
    number, exponent, unit = Decimal(told[1]), told[2], told[3] or ""
    if unit in _BINARY:
        return int(number * 1000 * 1024 ** (_BINARY.index(unit) + 1))
    return int((number * 1000).scaleb(int(exponent) if exponent else _UNITS.get(unit, 0)))


def requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """What the scheduler keeps free for a pod."""
    return {PODS: 1000} | _most(spec, _asked)


def limits(spec: Mapping[str, Any]) -> dict[str, int]:
    return _most(spec, lambda container: _amounts((container.get("resources") or {}).get("limits") or {}))


def _most(spec: Mapping[str, Any], of: Callable[[Mapping[str, Any]], dict[str, int]]) -> dict[str, int]:
    """Of a pod's containers together, or of an init container that needs more."""
    found: dict[str, int] = {}
    beside: dict[str, int] = {}
    for one in spec.get("initContainers") or ():
        asked = of(one)
        if one.get("restartPolicy") == "Always":
            _add(beside, asked)
        for kind, amount in asked.items():
            found[kind] = max(found.get(kind, 0), amount)
    running: dict[str, int] = dict(beside)
    for one in spec["containers"]:
        _add(running, of(one))
    for kind, amount in running.items():
        found[kind] = max(found.get(kind, 0), amount)
    _add(found, _amounts(spec.get("overhead") or {}))
    return found


def _asked(container: Mapping[str, Any]) -> dict[str, int]:
    """A limit stands for a request that is not given."""
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(told: Mapping[str, object]) -> dict[str, int]:
    return {kind: quantity(amount) for kind, amount in told.items()}


def _add(to: dict[str, int], more: Amounts) -> None:
    for kind, amount in more.items():
        to[kind] = to.get(kind, 0) + amount


def _asks(kind: str, amount: int) -> str:
    share = " (a tenth of its `cpus`)" if kind == "cpu" else ""
    return f"a pod asks for {said(kind, amount)}{share}"


def said(kind: str, amount: int) -> str:
    """An amount as people write it."""
    if kind == "cpu":
        return f"{amount / 1000:g} cpus"
    if kind not in ("memory", "ephemeral-storage"):
        return f"{amount // 1000} {kind}"
    size, unit = amount / 1000, "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            break
        size /= 1024
    return f"{size:.1f} {unit}".replace(".0 ", " ")


# nodes and pods


def _node(found: Json) -> Node:
    status = found.get("status") or {}
    closed = closing(found) or (("cordoned",) if is_cordoned(found) else ())
    whole = {kind: quantity(amount) for kind, amount in (status.get("allocatable") or {}).items()}
    return Node(found["metadata"]["name"], whole, closed)


def _ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _wanted(steps: Iterable[Step]) -> Iterable[Wanted]:
    """Pods with a priority of their own may put others out, and are not looked at."""
    for step in steps:
        if step.payload["do"] not in ("apply", "run") or not step.resource.startswith(("service/", "job/")):
            continue
        objects: Any = step.payload["objects"]
        main = objects[-1]["object"]
        kind, spec = main["kind"], main["spec"]
        pod = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]["spec"]
        if "priorityClassName" in pod or kind == "CronJob":
            continue
        stays = kind in ("Deployment", "StatefulSet")
        count = objects[-1].get("replicas", 1) if stays else spec.get("parallelism", 1)
        beside = kind == "Deployment" and step.action is Action.REPLACE and not step.payload.get("gone")
        yield Wanted(step.resource, step.resource.partition("/")[2], requests(pod), count, beside, stays)
