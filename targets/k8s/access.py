"""Whether the cluster lets the user do what a plan's steps need, asked before the first of them.

One request tells the user's rules for the namespace; what they do not grant is asked for one by one, because rules may
be incomplete, or be somebody's who lists none. https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bundler.errors import TargetError
from bundler.model.plan import Note, Step, Verdict
from targets.k8s.api import KINDS, Api
from targets.k8s.names import Json

AT_ONCE = 8
ROLE = "edit"  # the least of the roles that every cluster has which is enough within a namespace
ACCOUNT = "system:serviceaccount:"
_WRITTEN = ("get", "create", "patch")
_REMOVED = ("get", "delete", "watch")
_DEPLOYING = frozenset({"import", "push", "apply", "start", "record"})


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """`resource` is a plural, a subresource behind a slash; `group` "" is the core's."""

    group: str
    resource: str
    verb: str

    @property
    def shown(self) -> str:
        plural, slash, below = self.resource.partition("/")
        return (f"{plural}.{self.group}" if self.group else plural) + slash + below


def needs(steps: Iterable[Step]) -> frozenset[Right]:
    """What the steps need, that the plan was made of all that is recorded, and the lease of a deploy."""
    found: set[Right] = set()
    for step in steps:
        if step.payload["do"] in _DEPLOYING:
            found |= {*_rights("Secret", *_WRITTEN, *_REMOVED)}
        found |= {*_rights("Secret", "get", "list"), *_of(step.payload)}
    return frozenset(found)


def check(api: Api, namespace: str, steps: Sequence[Step]) -> list[Note]:
    """A refusal that names what is missing and who grants it; empty where nothing is."""
    missing = _missing(api, namespace, needs(steps))
    return [refused(missing, user(api), namespace)] if missing else []


def refused(missing: frozenset[Right], who: str, namespace: str) -> Note:
    """Pure."""
    reason = f"{who or 'the user'} may not {_listed(missing)}; {grant(missing, who, namespace)}"
    return Note(f"namespace/{namespace}", "permission", Verdict.REFUSED, reason)


def grant(missing: frozenset[Right], who: str, namespace: str) -> str:
    """Commands for somebody who may; with nothing missing, what makes a user one who may deploy there."""
    left = {right for right in missing if right.resource == "namespaces"}
    within = not left or left != missing
    told = [] if missing else [f"kubectl create namespace {namespace} (where there is none)"]
    if verbs := sorted({right.verb for right in left} & {"create"}):
        told.append(f"kubectl create namespace {namespace}")
    elif verbs := sorted(right.verb for right in left):
        told += [
            f"kubectl create role bundle-namespace --verb={','.join(verbs)} --resource=namespaces "
            f"--namespace={namespace}",
            f"kubectl create rolebinding bundle-namespace --role=bundle-namespace {_subject(who)} "
            f"--namespace={namespace}",
        ]
    if within:
        told.append(
            f"kubectl create rolebinding bundle-{ROLE} --clusterrole={ROLE} {_subject(who)} --namespace={namespace}"
        )
    elsewhere = "" if verbs and "create" not in verbs else ", or choose a --namespace where you may"
    return f"let an administrator run: {'; '.join(told)}{elsewhere}"


def user(api: Api) -> str:
    """Who the cluster takes us for; empty where it does not tell (before Kubernetes 1.28)."""
    try:
        return str(api.ask("SelfSubjectReview", {})["userInfo"]["username"])
    except (TargetError, KeyError):
        return ""


def _subject(who: str) -> str:
    if who.startswith(ACCOUNT):
        return f"--serviceaccount={who.removeprefix(ACCOUNT)}"
    return f"--user={shlex.quote(who) if who else 'USER'}"


# what a step needs


def _of(payload: Mapping[str, Any]) -> Iterable[Right]:
    for one in payload.get("gone", ()):
        yield from _rights(one.partition("/")[0], *_REMOVED)
    match payload["do"]:
        case "namespace":
            verbs = ("get", "patch") if payload["there"] else _WRITTEN
            yield from _rights("Namespace", *verbs)
        case "remove-namespace":
            yield from _rights("Namespace", *_REMOVED)
        case "apply":
            for one in payload["objects"]:
                yield from _rights(one["object"]["kind"], *_WRITTEN)
                if "replicas" in one:
                    yield _scaling(one["object"]["kind"])
        case "run":
            for one in payload["objects"][:-1]:
                yield from _rights(one["object"]["kind"], *_WRITTEN)
            yield from _rights("Job", "create", *_REMOVED)
        case "start":
            yield _scaling(payload["kind"])
        case "secrets":
            yield from _rights("Secret", *_WRITTEN)
        case "record":
            yield from _rights("Secret", "get", "create")
        case "remove":
            for one in payload["objects"]:
                yield from _rights(one.partition("/")[0], *_REMOVED)


def _scaling(kind: str) -> Right:
    group, plural = _resource(kind)
    return Right(group, f"{plural}/scale", "patch")


def _rights(kind: str, *verbs: str) -> list[Right]:
    return [Right(*_resource(kind), verb) for verb in verbs]


def _resource(kind: str) -> tuple[str, str]:
    path, plural, _ = KINDS[kind]
    return (path.split("/")[2] if path.startswith("/apis/") else ""), plural


# asking


def _missing(api: Api, namespace: str, rights: frozenset[Right]) -> frozenset[Right]:
    """Where nobody may ask, nothing is missing: the server has the last word at each step."""
    if not rights:
        return frozenset()
    try:
        rules = api.ask("SelfSubjectRulesReview", {"namespace": namespace}).get("resourceRules") or []
        doubtful = sorted(right for right in rights if not any(granted(right, rule) for rule in rules))
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            allowed = list(pool.map(lambda right: _may(api, namespace, right), doubtful))
    except TargetError:
        return frozenset()
    return frozenset(right for right, may in zip(doubtful, allowed, strict=True) if not may)


def granted(right: Right, rule: Json) -> bool:
    """Whether a rule of the user's says so; one for some names alone is taken for one. Pure."""
    below = right.resource.partition("/")[2]
    resources = {right.resource, "*"} | ({f"*/{below}"} if below else set())
    return (
        bool({right.verb, "*"} & set(rule.get("verbs") or ()))
        and bool({right.group, "*"} & set(rule.get("apiGroups") or ()))
        and bool(resources & set(rule.get("resources") or ()))
    )


def _may(api: Api, namespace: str, right: Right) -> bool:
    resource, _, below = right.resource.partition("/")
    asked = {"namespace": namespace, "verb": right.verb, "group": right.group, "resource": resource}
    asked |= {"subresource": below} if below else {}
    asked |= {"name": namespace} if resource == "namespaces" else {}
    return bool(api.ask("SelfSubjectAccessReview", {"resourceAttributes": asked}).get("allowed"))


def _listed(rights: Iterable[Right]) -> str:
    """`create, patch secrets, services; delete jobs.batch`: together what is missing in the same verbs."""
    verbs: dict[str, list[str]] = {}
    for right in sorted(rights):
        verbs.setdefault(right.shown, []).append(right.verb)
    resources: dict[str, list[str]] = {}
    for resource, missing in verbs.items():
        resources.setdefault(", ".join(missing), []).append(resource)
    return "; ".join(f"{missing} {', '.join(those)}" for missing, those in sorted(resources.items()))
