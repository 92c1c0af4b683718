"""The texts of one service: its environment, its command and its health check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.graphfile import forms
from bundler.importing import endpoints, health
from bundler.importing.addresses import Addresses, is_host_option, says_host
from bundler.importing.endpoints import Endpoints
from bundler.importing.process import MAX_ARGUMENT, words
from bundler.importing.project import Data, as_list, as_map, natural
from bundler.importing.report import Report
from bundler.importing.texts import Knobs
from bundler.importing.variables import settled

_SIBLING = re.compile(r"(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS|ENDPOINT|SERVICE)$")
_MAX_VARIABLE = 1 << 17  # characters, as in a graph
_HOST = r"(?<![\w.-]){}(?![\w.-])"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(slots=True)
class Program:
    name: str
    node: str
    service: Data
    knobs: Knobs
    addresses: Addresses
    report: Report
    job: bool

    @staticmethod
    def texts(service: Data) -> Iterator[str]:
        """Every text in which an address may stand."""
        for name, raw in as_map(service.get("environment")).items():
            if not re.search(r"IMAGE|VERSION|TAG$", name.upper()):
                yield _raw(name, raw)
        for key in ("command", "entrypoint"):
            yield from (str(each) for each in as_list(service.get(key)))

    @staticmethod
    def learn_ports(service: Data, ports: Endpoints | None, given: Mapping[str, str]) -> None:
        """The port that a health check asks."""
        check = as_map(service.get("healthcheck"))
        if ports is not None and not endpoints.is_off(check):
            test = [settled(str(each), given) for each in as_list(check.get("test"))]
            health.healthcheck({"test": test}, "", ports, list, Report())

    def translated(self) -> Data:
        where = f"services.{self.name}"
        made: Data = {}
        if environment := self._environment(where):
            made["environment"] = environment
        entrypoint, command = (self._arguments(key, where) for key in ("entrypoint", "command"))
        if entrypoint == [] and command:
            entrypoint, command = command, []
            self.report.changed(f"{where}.entrypoint", "empty, so the command is the whole of it: entrypoint")
        elif command == [] and not entrypoint:
            self.report.left_out(f"{where}.command", "empty: what the image says is run, as Docker does too")
        if entrypoint:
            made["entrypoint"] = entrypoint
        elif entrypoint == [] and self.service.get("entrypoint") is not None:
            self.report.refused(f"{where}.entrypoint", "empty, and no command says what runs instead")
        if command:
            made["command"] = command
        check = as_map(self.service.get("healthcheck"))
        if check and self.job:
            self.report.left_out(f"{where}.healthcheck", "a job is well when it ends with status 0")
        elif check and endpoints.is_off(check):
            told = "there is no test, and that of the image is not read: write it into the graph"
            if "disable" in check or "test" in check:
                told = "there is none in the graph either"
            self.report.left_out(f"{where}.healthcheck", told)
        elif check:
            ports = self.addresses.endpoints[self.node]
            translated, _ = health.healthcheck(
                check,
                f"{where}.healthcheck",
                ports,
                lambda raw: self.knobs.arguments(raw, f"{where}.healthcheck"),
                self.report,
            )
            if translated:
                made["healthcheck"] = translated
        return made

    def environment_text(self, variable: str) -> str:
        """Without edges."""
        raw = _raw(variable, self.service["environment"][variable])
        if secret := self.knobs.secrets.of(variable, raw, self.knobs.given):
            return f"${{secrets.{secret.name}}}"
        return self.knobs.text(raw, f"services.{self.name}.environment.{variable}", variable)

    def _environment(self, where: str) -> dict[str, str]:
        raw = {name: _raw(name, value) for name, value in self.service["environment"].items()}
        plain = {name: settled(text, self.knobs.given) for name, text in raw.items()}
        placed = self._beside(plain)
        made = {}
        for name in raw:
            place = f"{where}.environment.{name}"
            if not re.fullmatch(forms.VARIABLE, name) or _CONTROL.search(plain[name]):
                self.report.refused(place, "its name or text holds characters that no graph has")
                continue
            if self.service["environment"][name] is None:
                self.report.changed(
                    place, "passed on from whoever starts Compose; where nothing sets it, it is empty here"
                )
            text = placed.get(name) or self.environment_text(name)
            text = self.addresses.rewritten(self.node, text, host_alone=says_host(name))
            if len(text) > _MAX_VARIABLE:
                self.report.refused(place, f"it has {len(text)} characters, and a variable of a graph {_MAX_VARIABLE}")
                continue
            made[name] = text
            self._tell(place, plain[name], text)
        return made

    def _beside(self, plain: Mapping[str, str]) -> dict[str, str]:
        """DB_HOST and DB_PORT, which are one address."""
        placed = {}
        for name, text in plain.items():
            if text not in self.addresses.hosts or not _SIBLING.search(name.upper()):
                continue
            port = next((each for each in plain if each.upper() == _SIBLING.sub("PORT", name.upper())), None)
            number = plain[port] if port and natural(plain[port], 65535) else None
            placed[name] = self.addresses.host_at(self.node, text, number)
            found = self.addresses.port_of(self.node, text, number) if number else None
            if port and found:
                placed[port] = found
        return placed

    def _arguments(self, key: str, where: str) -> list[str] | None:
        """None where the key is not there."""
        found = self.service.get(key)
        if found is None:
            return None
        place = f"{where}.{key}"
        if isinstance(found, str):
            split = words(self.knobs.text(found, place))
            if split is None:
                self.report.refused(place, "a quote is left open in it")
                return None
        else:
            split = self.knobs.arguments([str(each) for each in as_list(found)], place)
        made: list[str] = []
        for index, text in enumerate(split):
            after_host = index > 0 and is_host_option(split[index - 1])
            made.append(self.addresses.rewritten(self.node, text, host_alone=after_host))
            self._tell(place, text, made[-1])
        if too_long := [len(each) for each in made if len(each) > MAX_ARGUMENT]:
            told = f"an argument of it has {too_long[0]} characters, and one of a graph {MAX_ARGUMENT}"
            self.report.refused(place, told)
            return None
        return made

    def _tell(self, place: str, before: str, after: str) -> None:
        edges = self.addresses.edges.get(self.node, {})
        for slot, (target, endpoint) in edges.items():
            if f"${{{slot}." in after and f"${{{slot}." not in before:
                spoken = (host for host, node in self.addresses.hosts.items() if node == target != host)
                other = next((host for host in spoken if re.search(_HOST.format(re.escape(host)), before)), None)
                told = f"{other} is {target} here" if other else f"an address of {target}"
                self.report.taken(place, f"{told}: connect {{{slot}: {target}.{endpoint}}}")
        for door in self.addresses.doors.values():
            if f"${{publish.{door}.url}}" in after:
                self.report.taken(place, f"the address of the front door {door}, as the site has it")


def _raw(variable: str, value: Any) -> str:
    """A variable without a value is that of whoever starts Compose; nothing or `null` in a map is the same."""
    if value is None:
        return f"${{{variable}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
