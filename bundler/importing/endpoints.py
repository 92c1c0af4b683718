"""The ports that services listen on, from every place of a Compose file that names one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bundler.graphfile.types import TYPES
from bundler.importing import images
from bundler.importing.project import Data, as_list, natural, truth
from bundler.importing.report import Report

_HTTP = frozenset(
    {
        80,
        3000,
        3001,
        3030,
        4000,
        5000,
        5001,
        5555,
        7860,
        8000,
        8001,
        8008,
        8080,
        8081,
        8088,
        8090,
        8501,
        8888,
        9001,
        9090,
        9091,
    }
)
_USUAL = {
    type.port: type.name
    for type in TYPES.values()
    if type.port and type.name not in ("http", "https", "grpc", "s3", "clickhouse")
}
_PORTS = re.compile(
    r"(?:(?P<ip>[0-9]+(?:\.[0-9]+){3}|\[[0-9a-fA-F:]+\]):)?(?:(?P<host>[0-9-]*):)?(?P<port>[0-9-]+)(?:/(?P<how>\w+))?"
)
MAX_RANGE = 32
Declared = Callable[[str], Sequence[int] | None]  # image -> the ports that it declares; None where nobody knows


@dataclass(frozen=True, slots=True)
class Published:
    """A port that Compose opens on the machine; `host` is None where it takes any."""

    port: int
    host: int | None
    address: str | None


@dataclass(slots=True)
class Endpoints:
    """Of one service: name -> port and type."""

    ports: dict[str, tuple[int, str]] = field(default_factory=dict)

    def named(self, port: int) -> str | None:
        return next((name for name, (known, _) in self.ports.items() if known == port), None)

    def add(self, port: int, type: str | None = None, name: str | None = None) -> str:
        """Its name; one that is known may learn its type. A port without a type has the usual one of its number."""
        kind = type if type in TYPES else None
        if known := self.named(port):
            if not kind or self.ports[known][1] != "tcp":
                return known
            chosen = kind if kind not in self.ports else f"{kind}-{port}"
            self.ports = {
                chosen if each == known else each: (port, kind) if each == known else entry
                for each, entry in self.ports.items()
            }
            return chosen
        kind = kind or _USUAL.get(port) or ("http" if port in _HTTP else "tcp")
        wanted = name or (kind if kind != "tcp" else f"port-{port}")
        chosen = wanted if wanted not in self.ports else f"{wanted}-{port}"
        self.ports[chosen] = (port, kind)
        return chosen

    def written(self) -> dict[str, Any]:
        """As `expose` has them: the type is said where the name does not."""
        made: dict[str, Any] = {}
        for name, (port, kind) in self.ports.items():
            usual = name if name in TYPES else "tcp"
            made[name] = port if kind == usual else {"port": port, "as": kind}
        return made


def of(name: str, service: Data, image: str | None, declared: Declared, report: Report) -> Endpoints:
    """What the image is known for, and what the service says itself; then what another image declares."""
    found = Endpoints()
    known = images.known(image) if image else None
    if service.get("entrypoint") and not (service.get("ports") or service.get("expose")):
        known = None  # another program of the image, such as a worker
    for kind, port in known.ports if known else ():
        found.add(port, kind, kind)
    for entry in as_list(service.get("expose")):
        text, _, how = str(entry).partition("/")
        numbers = _span(text) if how in ("", "tcp") else []
        for number in numbers:
            found.add(number)
        if not numbers:
            told = f"{_short(entry)} is neither a TCP port nor a range of up to {MAX_RANGE}"
            report.refused(f"services.{name}.expose", told)
    if image is not None and images.known(image) is None and not service.get("entrypoint"):
        where, ports = f"services.{name}.image", declared(image)
        if ports:
            report.taken(where, f"{image} declares {', '.join(map(str, ports))}, as the local engine has it")
        elif ports is None and not (found.ports or service.get("ports")):
            told = f"no local engine has it to tell which ports it declares: docker pull {image}, and import again"
            report.left_out(where, told)
        for port in ports or ():
            found.add(port)
    return found


def published(service: Data, where: str, report: Report) -> Iterator[Published]:
    """The TCP ports of `ports`, one by one; the others are refused."""
    for entry in as_list(service.get("ports")):
        if isinstance(entry, dict):
            host, port = str(entry.get("published") or ""), str(entry.get("target", ""))
            address, how = entry.get("host_ip"), str(entry.get("protocol", "tcp"))
        else:
            found = _PORTS.fullmatch(str(entry))
            host, port = (found["host"] or "", found["port"]) if found else ("", "")
            address, how = (found["ip"], found["how"] or "tcp") if found else (None, "tcp")
        inner, outer = _span(port), _span(host)
        if how != "tcp":
            report.refused(f"{where}.ports", f"{entry}: endpoints of a graph are TCP, not {how.upper()}")
        elif len(inner) == 1 < len(outer):
            told = f"any free port of {host} in Compose, and one here: name it"
            report.refused(f"{where}.ports", f"{_short(f'{host}:{port}')}: {told}")
        elif not inner or (host and len(outer) not in (1, len(inner))):
            told = f"is no port, nor are they ranges of one length up to {MAX_RANGE}"
            report.refused(f"{where}.ports", f"{_short(f'{host}:{port}' if isinstance(entry, dict) else entry)} {told}")
        else:
            for index, one in enumerate(inner):
                outside = outer[index] if len(outer) == len(inner) else None
                yield Published(one, outside, str(address) if address else None)


def _span(text: str) -> list[int]:
    """`8000-8002` as its numbers; empty for what is none, or too long."""
    first, dash, last = text.partition("-")
    low, high = natural(first, 65535), natural(last if dash else first, 65535)
    return list(range(low, high + 1)) if low and high and high - low < MAX_RANGE else []


def _short(entry: Any) -> str:
    return str(entry)[:60]


def is_off(check: Any) -> bool:
    """Whether a health check says that there is none."""
    if not isinstance(check, dict):
        return True
    return truth(check.get("disable")) is True or as_list(check.get("test"))[:1] in (["NONE"], [])
