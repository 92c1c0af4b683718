"""An app's lease: a Secret whose annotation names the holder, written only over what was read. A first deploy makes the
namespace for it, as its own step would.
"""

from __future__ import annotations

from targets import ownership
from targets.k8s import names, objects
from targets.k8s.api import Api
from targets.k8s.names import Json
from targets.k8s.refusals import Conflict, NotThere

HOLDER = ownership.PREFIX + "holder"


def holder(there: Json | None) -> str:
    return "" if there is None else names.annotation(there, HOLDER)


def lease(api: Api, namespace: str, there: Json | None, body: Json, new: str) -> str:
    """Write `new` into what is there, or into what `body` makes; the holder then."""
    name = body["metadata"]["name"]
    try:
        if new:
            read = there or _made(api, namespace, body)
            body["metadata"]["annotations"][HOLDER] = new
            body["metadata"]["resourceVersion"] = read["metadata"]["resourceVersion"]
            api.apply(body, namespace)
        elif there is not None:
            api.delete("Secret", name, namespace, uid=str(there["metadata"]["uid"]))
    except Conflict:
        return holder(api.get("Secret", name, namespace))
    return new


def _made(api: Api, namespace: str, body: Json) -> Json:
    try:
        return api.create(body, namespace)
    except NotThere:
        api.apply(objects.namespace(body["metadata"]["labels"][ownership.APP], namespace, None))
        return api.create(body, namespace)
