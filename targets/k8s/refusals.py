"""What a cluster says no with, or that it says nothing, in one line and with what to do. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from bundler.edges.network import Failure, failure
from bundler.errors import TargetError

MESSAGE_LIMIT = 400
_ELSEWHERE = "is it running, and is this the right one? KUBECONFIG and --context choose it"
_CERTIFICATE = (
    "the kubeconfig may be of an earlier cluster at this address, or name the wrong certificate-authority: "
    "kubectl config view --minify"
)
_RIGHT = "ask an administrator for the right to do this, or choose another --namespace or --context"
# Of authorization, and not of admission (quota, Pod Security, webhooks), which says no with the same status and reason.
_NO_RIGHT = re.compile(r" cannot [a-z]+ (resource|path) ")
_OBJECT = re.compile(
    r"/api(?:/v1|s/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)/(?P<name>[^/]+)"
)
_LOSES_DATA = ("namespaces", "persistentvolumeclaims", "secrets")
_BUSY = "run the same command again in a while; apiserver_flowcontrol_rejected_requests_total says who asks so much"
_LOGIN = "they may have expired: log in again; kubectl config view --minify shows which are used"


class NotThere(TargetError):
    """The cluster has no object of that name."""


class Conflict(TargetError):
    """An object of that name is there already, or is another than the one that was read."""


class Forbidden(TargetError):
    """The user may not do this."""


class Silent(TargetError):
    """A server behind the cluster's own does not answer."""


def refusal(status: int, data: bytes, doing: str, path: str) -> TargetError:
    """The server's own words, and what to do about it; `path` is that of the request.
    https://kubernetes.io/docs/reference/using-api/api-concepts/"""
    told = _status(data)
    message = _one_line(told.get("message", ""))
    causes = (told.get("details") or {}).get("causes") or []
    match status:
        case 404:
            return NotThere(f"{doing}: {_short(message)}")
        case 401:
            return TargetError(f"{doing}: the cluster does not accept these credentials", hint=_LOGIN)
        case 403 if _NO_RIGHT.search(message):
            return Forbidden(f"{doing}: {message}", hint=_RIGHT)
        case 429:
            return TargetError(f"{doing}: the cluster has too much to do: {_short(message)}", hint=_BUSY)
        case 409 if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
            fields = "; ".join(f"{cause.get('field')}: {cause.get('message')}" for cause in causes)
            ways = [way for way in (_deletion(path), "have them let go of these fields") if way]
            return TargetError(
                f"{doing}: others manage fields of it: {fields}",
                hint=f"{', or '.join(ways)}, and run the same command again",
            )
        case 409:
            return Conflict(f"{doing}: {_short(message)}")
        case 422 if any(cause.get("field") == "metadata.uid" for cause in causes):  # of an apply that names another
            return Conflict(f"{doing}: {_short(message)}")
        case 503:
            return Silent(f"{doing}: {_short(message)}")
        case 422 if causes:
            told_causes = "; ".join(f"{one.get('field')}: {_short(one.get('message'))}" for one in causes[:5])
            # A list of which we own some entries has others that clash with ours.
            edited = any(one.get("reason") == "FieldValueDuplicate" for one in causes)
            mend = _deletion(path) if edited else None
            hint = f"somebody has edited the object: {mend}, and the next deploy makes it anew" if mend else None
            return TargetError(f"{doing}: the cluster refuses {told_causes}", hint=hint)
    return TargetError(f"{doing}: {_short(message) or f'the cluster answers {status}'}")


def replaced(kind: str, name: str) -> TargetError:
    """An object that was looked at is another one by now."""
    return TargetError(
        f"{kind} {name} is another one than was looked at; left alone",
        hint="something made it anew meanwhile; run the same command again",
    )


def unreachable(error: BaseException, doing: str, address: str) -> TargetError:
    """Of an error on the way to the cluster."""
    kind, reason = failure(error)
    hint = _CERTIFICATE if kind is Failure.CERTIFICATE else _LOGIN if kind is Failure.CLIENT else _ELSEWHERE
    return TargetError(f"{doing}: the cluster at {address} cannot be reached: {reason}", hint=hint)


def no_cluster(address: str) -> TargetError:
    return TargetError(f"what answers at {address} is no Kubernetes API", hint=_ELSEWHERE)


def _deletion(path: str) -> str | None:
    """The command that deletes the object at a path of the API; None where that is none's, or would lose data."""
    place = _OBJECT.fullmatch(path)
    if place is None or place["plural"] in _LOSES_DATA:
        return None
    namespace = f" --namespace {place['namespace']}" if place["namespace"] else ""
    return f"kubectl delete {place['plural']} {place['name']}{namespace}"


def _status(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {"message": data.decode(errors="replace")}


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _short(message: object) -> str:
    """Some messages hold a whole object."""
    text = _one_line(message or "")
    return text if len(text) <= MESSAGE_LIMIT else f"{text[:MESSAGE_LIMIT]} …"
