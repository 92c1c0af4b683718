"""Addresses in texts -> edges: `http://api:8000/x` is `${api.url}/x` and a connection to api's endpoint.

Works on the graph's texts, where variables are placeholders already, so that nothing that a site decides is taken for
an address. What is recognised: URLs, `host:port`, `host=NAME`, and a name alone where its variable or option says host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bundler.graphfile.edges import RESERVED_SLOTS
from bundler.graphfile.types import TYPES
from bundler.importing import images
from bundler.importing.endpoints import Endpoints
from bundler.importing.project import natural

_HOST_WORDS = frozenset(
    [
        "HOST",
        "HOSTS",
        "HOSTNAME",
        "SERVER",
        "SERVERS",
        "ADDR",
        "ADDRESS",
        "ADDRESSES",
        "ENDPOINT",
        "ENDPOINTS",
        "URL",
        "URI",
        "NODE",
        "NODES",
        "BROKER",
        "BROKERS",
        "SERVICE",
        "PEER",
        "UPSTREAM",
        "DSN",
    ]
)
_SECRET = re.compile(r"\$\{secrets\.[a-z0-9-]+(?=\})")
_FLAG = re.compile(r"--?(?:h|[a-z-]*(?:host|hostname|server|addr|address|endpoint))")
_LEAST_PORT = 25
_BUCKETS = "(?:s3[an]?|gc?s|oss)"  # schemes in which a bucket stands where others have a host
_LOCAL = r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0)"
_DOOR = re.compile(rf"(?P<scheme>https?)://{_LOCAL}:(?P<port>[0-9]{{1,5}})(?![0-9.])")


@dataclass(frozen=True, slots=True)
class Login:
    """The outputs of a node's endpoint: field -> text of the graph."""

    endpoint: str
    fields: Mapping[str, str]


@dataclass(slots=True)
class Addresses:
    """`hosts`: every name that a service is reached by -> its node. `doors`: port of the machine -> front door.
    `edges`: node -> slot -> (target, endpoint); `unplaced`: names of nodes whose port nothing says."""

    hosts: Mapping[str, str]
    endpoints: Mapping[str, Endpoints]
    doors: Mapping[int, str]
    logins: dict[str, Login] = field(default_factory=dict)
    edges: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    unplaced: set[tuple[str, str]] = field(default_factory=set)
    _url: re.Pattern[str] = field(init=False)
    _pair: re.Pattern[str] = field(init=False)
    _given: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        names = "|".join(re.escape(host) for host in sorted(self.hosts, key=lambda each: (-len(each), each)))
        host = rf"(?P<host>{names or '(?!)'})"
        self._url = re.compile(
            rf"(?<![A-Za-z0-9+.-])(?!{_BUCKETS}://)"
            rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{{0,39}})://(?P<login>[^/@\s\"',]*@)?{host}(?::(?P<port>[0-9]{{1,5}}))?"
            r"(?![A-Za-z0-9_.-])"
        )
        self._pair = re.compile(rf"(?<![A-Za-z0-9_.$/{{-]){host}:(?P<port>[0-9]{{1,5}})(?![A-Za-z0-9_.-])")
        self._given = re.compile(
            rf"(?i:(?<![A-Za-z])(?P<key>host|hostname|server|data source|addr|address)=)(?-i:{host})(?![A-Za-z0-9_.:-])"
        )

    def named(self, text: str) -> dict[str, str]:
        """The hosts of the addresses in a text -> their names in the graph."""
        found = [each["host"] for pattern in (self._url, self._pair) for each in pattern.finditer(text)]
        return {host: self.hosts[host] for host in found}

    def mine(self, text: str) -> None:
        """Learn the ports that a text names."""
        for found in self._url.finditer(text):
            kind = images.type_of_scheme(found["scheme"])
            usual = TYPES[kind].port if kind in TYPES else None
            if port := natural(found["port"], 65535) if found["port"] else usual:
                self.endpoints[self.hosts[found["host"]]].add(port, kind)
        for found in self._pair.finditer(text):
            if _is_port(found["port"]):
                self.endpoints[self.hosts[found["host"]]].add(int(found["port"]))

    def leads(self, variable: str, text: str) -> bool:
        """Whether a text is or holds an address of a node or a front door."""
        if self._url.search(text) or self._pair.search(text) or self._given.search(text):
            return True
        if any(int(found["port"]) in self.doors for found in _DOOR.finditer(text)):
            return True
        return text in self.hosts and says_host(variable)

    def rewritten(self, node: str, text: str, *, host_alone: bool) -> str:
        """The text with its addresses as placeholders; the edges of `node` are noted."""
        if host_alone and text in self.hosts:
            target = self.hosts[text]
            slot = self._slot(node, target, None)
            return f"${{{slot}.host}}" if slot else text
        made, done = "", 0
        for found in self._url.finditer(text):
            if found.start() < done:
                continue
            placed, end = self._placed_url(node, text, found)
            made, done = made + text[done : found.start()] + placed, end
        text = made + text[done:]
        text = self._pair.sub(lambda found: self._placed_pair(node, found), text)
        text = self._given.sub(lambda found: self._placed_given(node, found), text)
        return _DOOR.sub(self._placed_door, text)

    def port_of(self, node: str, host: str, port: str) -> str | None:
        """`${slot.port}` for the port of a host that `node` has in a variable of its own."""
        target = self.hosts[host]
        if not _is_port(port) or target == node:
            return None
        self.endpoints[target].add(int(port))
        slot = self._slot(node, target, int(port))
        return f"${{{slot}.port}}" if slot else None

    def host_at(self, node: str, host: str, port: str | None) -> str:
        """`${slot.host}` for a host whose port is told beside it."""
        target = self.hosts[host]
        number = int(port) if port and _is_port(port) else None
        if number and target != node:
            self.endpoints[target].add(number)
        slot = self._slot(node, target, number)
        return f"${{{slot}.host}}" if slot else host

    def _slot(self, node: str, target: str, port: int | None) -> str | None:
        """The slot of `node` that leads there, made where there is none; None for itself, or without a port."""
        if target == node:
            return None
        ports = self.endpoints[target]
        endpoint = ports.named(port) if port is not None else next(iter(ports.ports), None)
        if endpoint is None:
            self.unplaced.add((node, target))
            return None
        slots = self.edges.setdefault(node, {})
        for slot, edge in slots.items():
            if edge == (target, endpoint) or (port is None and edge[0] == target):
                return slot
        name = target if target not in slots and target not in RESERVED_SLOTS else f"{target}-{endpoint}"
        slots[name] = (target, endpoint)
        return name

    def _placed_url(self, node: str, text: str, found: re.Match[str]) -> tuple[str, int]:
        target = self.hosts[found["host"]]
        kind = images.type_of_scheme(found["scheme"])
        usual = TYPES[kind].port if kind in TYPES else None
        port = natural(found["port"], 65535) or 0 if found["port"] else usual
        slot = self._slot(node, target, port) if port != 0 else None
        if slot is None:
            return found[0], found.end()
        endpoint = self.edges[node][slot][1]
        type = TYPES[self.endpoints[target].ports[endpoint][1]]
        login = self.logins.get(target)
        fields = login.fields if login and login.endpoint == endpoint and type.login else {}
        if found["scheme"] == type.url and found["port"] and bool(found["login"]) == bool(fields):
            whole = _url(type.url, found, fields, type.path)
            if text.startswith(whole, found.start()) and text[found.start() + len(whole) :][:1] in " \"',;?#|/":
                return f"${{{slot}.url}}", found.start() + len(whole)
        elif found["scheme"] == type.url == "http" and not found["login"]:
            return f"${{{slot}.url}}", found.end()
        at = f":${{{slot}.port}}" if found["port"] else ""
        return f"{found['scheme']}://{found['login'] or ''}${{{slot}.host}}{at}", found.end()

    def _placed_pair(self, node: str, found: re.Match[str]) -> str:
        slot = self._slot(node, self.hosts[found["host"]], int(found["port"])) if _is_port(found["port"]) else None
        return f"${{{slot}.host}}:${{{slot}.port}}" if slot else found[0]

    def _placed_given(self, node: str, found: re.Match[str]) -> str:
        slot = self._slot(node, self.hosts[found["host"]], None)
        return f"{found['key']}=${{{slot}.host}}" if slot else found[0]

    def _placed_door(self, found: re.Match[str]) -> str:
        door = self.doors.get(int(found["port"]))
        return f"${{publish.{door}.url}}" if door else found[0]


def says_host(variable: str) -> bool:
    """Whether the name of a variable says that its value is a host."""
    words = re.split(r"[^A-Z]+", variable.upper())
    return any(word in _HOST_WORDS or word.endswith(("HOST", "SERVER", "URL", "ADDR")) for word in words)


def is_host_option(argument: str) -> bool:
    """Whether an argument says that the next one is a host."""
    return bool(_FLAG.fullmatch(argument))


def _is_port(text: str) -> bool:
    """Whether it is one that a program listens on: `redis:7` is an image."""
    return (natural(text, 65535) or 0) >= _LEAST_PORT


def _url(scheme: str, found: re.Match[str], fields: Mapping[str, str], path: str | None) -> str:
    """What `${slot.url}` would be, in the words of the text."""
    password = _SECRET.sub(r"\g<0>.encoded", f":{fields['password']}") if "password" in fields else ""
    login = f"{fields.get('user', '')}{password}@" if fields else ""
    tail = f"/{fields[path]}" if path and fields.get(path) else ""
    return f"{scheme}://{login}{found['host']}:{found['port']}{tail}"
