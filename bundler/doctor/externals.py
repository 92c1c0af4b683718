"""Whether the externals of a graph answer where the site says, asked from this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from bundler.doctor.looks import Look
from bundler.edges.network import Failure
from bundler.edges.reach import PROTOCOLS, SPEAKS_TLS, UnreachedError, reach
from bundler.graphfile.site import Lack, lacks
from bundler.graphfile.types import TYPES, complete
from bundler.model.finding import Finding
from bundler.model.graph import External, Graph
from bundler.model.site import Site

PART = "externals, from this machine"
ADDRESS = ("url", "endpoint", "host", "port")  # the fields that say where it is
_REACH_S = 5.0
_TLS = frozenset({"https", "rediss", "amqps", "smtps", "ldaps", "mqtts", "grpcs"})
_SPOKEN = {"https": "http", "s3": "http", "otlp": "http"}  # types whose protocol has another name
_INSIDE = (".svc", ".cluster.local", ".docker.internal")
_SMTPS = 465  # RFC 8314, section 3.3: TLS from the first byte
Where = Callable[[str, str], str | None]  # of an external and a field of it: its place in a site file


def of_externals(graph: Graph, site: Site, secrets: Mapping[str, bytes], where: Where) -> list[Look]:
    """`secrets` are the bytes of those by which the site says where an external is ("db.url"), as far as they are at
    hand; `where` is in which line it says so."""
    needs = {lack.path[1].partition(".")[0]: lack for lack in lacks(site, graph) if {*lack.fields} & {*ADDRESS}}
    users: dict[str, list[str]] = {}
    for node in (*graph.services, *graph.jobs):
        for edge in node.connect:
            users.setdefault(edge.node, []).append(node.name)
    looks = []
    for one in graph.externals:
        purpose = ", ".join(users.get(one.name, ())) or "nothing: no node is connected to it"
        found = partial(_found, one, purpose, site, secrets, where, needs.get(one.name), needed=one.name in users)
        looks.append(Look(PART, _named(one), purpose, found))
    return looks


def _found(
    external: External,
    purpose: str,
    site: Site,
    secrets: Mapping[str, bytes],
    where: Where,
    lack: Lack | None,
    *,
    needed: bool,
) -> list[Finding]:
    found = _external(external, purpose, site, secrets, where, lack)
    return [replace(found, needed=found.needed and needed)]


def _named(external: External) -> str:
    return f"{external.name} ({external.type})"


def _external(
    external: External, purpose: str, site: Site, secrets: Mapping[str, bytes], where: Where, lack: Lack | None
) -> Finding:
    what, fields = _named(external), _fields(external, site, secrets)
    host, port = fields.get("host"), fields.get("port")
    if lack is not None:
        return Finding(what, lack.problem.message, purpose, ok=False, hint=lack.problem.hint)
    if not host or not port or not port.isdigit():
        unread = [f"{external.name}.{field}" for field in ADDRESS if f"{external.name}.{field}" in site.secrets]
        told = (
            f"not asked: {unread[0]} is no address that is known here"
            if unread
            else "not asked: the graph uses no address of it"
        )
        return Finding(what, told, purpose, ok=not unread, needed=False)
    if host.endswith(_INSIDE):
        told = f"not asked: {host} is a name that is known only where the app runs"
        return Finding(what, told, purpose, ok=False, needed=False)
    if _is_loopback(host):
        told, meant = f"{host} is, inside the app, the app itself", "an address that others know it by"
        return Finding(what, told, purpose, ok=False, hint=_line(external, site, where, meant))
    secure = _is_secure(external.type, fields.get("url", ""), port)
    spoken = _SPOKEN.get(external.type, external.type)
    try:
        said = reach(spoken if spoken in PROTOCOLS else None, host, int(port), tls=secure, timeout_s=_REACH_S)
    except UnreachedError as error:
        hint = _mend(error, external, site, where, secure=secure)
        told = f"{host}:{port}: {error.reason}"
        return Finding(what, told, purpose, ok=False, hint=hint, failure=error.kind.word)
    return Finding(what, f"{host}:{port} {said}{' over TLS' if secure else ''}", purpose)


def _fields(external: External, site: Site, secrets: Mapping[str, bytes]) -> dict[str, str]:
    """Those of its address, and what follows from them."""
    given = dict(site.externals.get(external.name, {}))
    for field in ADDRESS:
        if f"{external.name}.{field}" in secrets:
            given[field] = secrets[f"{external.name}.{field}"].decode("utf-8", "replace").strip()
    made = complete(external.type, {field: (given[field],) for field in ADDRESS if given.get(field)})
    return {field: "".join(part for part in text if isinstance(part, str)) for field, text in made.items()}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3


def _is_secure(type: str, url: str, port: str) -> bool:
    return type == "https" or url.partition("://")[0] in _TLS or (type == "smtp" and port == str(_SMTPS))


def _mend(error: UnreachedError, external: External, site: Site, where: Where, *, secure: bool) -> str:
    usual = TYPES[external.type].url
    if error.reason == SPEAKS_TLS and f"{usual}s" in _TLS:
        return _line(external, site, where, f"{usual}s://…")
    match error.kind:
        case Failure.CERTIFICATE:
            return "SSL_CERT_FILE=FILE has it trusted here; the app's images must trust it too"
        case Failure.TLS | Failure.PROTOCOL:
            meant = f"{usual}://…" if secure else "the port or scheme that it listens with"
            return _line(external, site, where, meant)
        case _:
            return _line(external, site, where, "where it is")


def _line(external: External, site: Site, where: Where, meant: str) -> str:
    """What the site's file has to say instead, and where."""
    secret = next((f"{external.name}.{field}" for field in ADDRESS if f"{external.name}.{field}" in site.secrets), None)
    if secret is not None:
        return f"the secret {secret}: {meant}"
    given = site.externals.get(external.name, {})
    field = next((field for field in ADDRESS if field in given), "host")
    scheme = "url: …" if "://" in meant else "host: …, port: …"
    says = f"{field}: …" if field in ("url", "endpoint") else scheme
    place = where(external.name, field) or "site file"
    return f"{place}: externals: {{{external.name}: {{{says}}}}}, {meant}"
