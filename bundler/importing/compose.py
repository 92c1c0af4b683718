"""A Compose file -> a graph, a site file and a report.

Reads: the text, and through `Files` what the file names beside itself.
Writes: `Imported`: data that passes `check`, what must lie beside it, every decision.
Next: `writing`, `folder`.

Essential parts that a graph cannot have are refused in the report, and the rest is a graph all the same.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from bundler.graphfile import forms
from bundler.importing import confidential, endpoints, images, keys, mounts, order, process, scripts, searching
from bundler.importing.addresses import Addresses, Login
from bundler.importing.endpoints import Declared, Endpoints, Published
from bundler.importing.hosts import names_of, outer_hosts
from bundler.importing.mounts import Copy, Mounted
from bundler.importing.naming import Names, label, renamed
from bundler.importing.program import Program
from bundler.importing.project import Data, Files, Project, as_map, project
from bundler.importing.report import Report
from bundler.importing.sources import Sources
from bundler.importing.stored import Stored
from bundler.importing.texts import Knobs
from bundler.importing.variables import listed, origin, settled, several, variables

_OVERRIDES = tuple(f"{stem}.override.{end}" for stem in ("compose", "docker-compose") for end in ("yaml", "yml"))
_VERSION = "1.0.0"
_MAX_IMAGE = 255  # characters, as in a graph


@dataclass(frozen=True, slots=True)
class Imported:
    """`graph` and `site` are the data of their files. `remarks`: node -> what is missing of it."""

    graph: Data
    site: Data
    remarks: Mapping[str, tuple[str, ...]]
    site_remarks: tuple[str, ...]
    copies: tuple[Copy, ...]
    report: Report


def imported(
    texts: Sequence[tuple[str, str]],
    folder: str,
    files: Files,
    profiles: Iterable[str] = (),
    declared: Declared = lambda image: (),
) -> Imported:
    """`texts` are those of one or more files with their names, each laid over those before it; `declared` gives the
    ports that an image declares, None where nobody knows. UsageError where a text is no Compose file, or there is no
    service in them."""
    report = Report()
    for name in _OVERRIDES:
        if files.kind(name) == "file" and name not in {PurePath(file).name for _, file in texts}:
            report.left_out(name, f"not read, where Compose lays it over by itself: -f {name} has it read too")
    sources = Sources(files, report)
    laid = [sources.whole(text, file) for text, file in texts]
    found = project(laid, folder, files, sources.given(), profiles, report)
    if named := found.given.get("COMPOSE_FILE"):
        report.left_out(".env", f"COMPOSE_FILE is not read: files that are not given are left out ({named})")
    return _Import(found, files, report, declared).result()


@dataclass(slots=True)
class _Import:
    """What the services of one file share while they are translated."""

    project: Project
    files: Files
    report: Report
    declared: Declared
    names: Names = field(default_factory=Names)
    node: dict[str, str] = field(default_factory=dict)
    site: Data = field(default_factory=dict)

    def result(self) -> Imported:
        services = self.project.services
        self._name_nodes()
        for section in ("volumes", "configs", "secrets"):
            for name, part in getattr(self.project, section).items():
                self._decided(f"{section}.{name}", {key: text for key, text in part.items() if key != "content"})
        jobs = {name for name in services if order.is_waited_out(name, services)}
        plain = {name: self._settled(name) for name in services}
        sources = {name: self._source(name, plain[name]) for name in services}
        ports = {
            self.node[name]: endpoints.of(name, plain[name], sources[name].image, self.declared, self.report)
            for name in services
            if name not in jobs
        }
        stores = {name for name, source in sources.items() if source.image and images.known(source.image)}
        hosts = names_of(plain, self.node, jobs, self.report)
        outside = outer_hosts(self.project, plain, self.names, hosts, self.report)
        ports |= {node: Endpoints() for node in outside.values()}
        open_ports = self._published(plain, jobs, ports)
        addresses = Addresses(hosts, ports, {})
        knobs = Knobs(
            self.project.given,
            searching.secrets(self.project, self.names, stores),
            addresses.leads,
            self.report,
        )
        for name, service in services.items():
            for raw in Program.texts(service):
                addresses.mine(settled(raw, self.project.given))
            for config in mounts.settings(service, self.project, self.files):
                addresses.mine(config)
            Program.learn_ports(service, ports.get(self.node[name]), self.project.given)
        doors = self._doors(open_ports, ports, jobs)
        addresses.doors = {port.host: door for door, _, port in doors if port.host}
        programs = {
            name: Program(name, self.node[name], service, knobs, addresses, self.report, job=name in jobs)
            for name, service in services.items()
        }
        for name, program in programs.items():
            self._login(name, sources[name].image, program, addresses)
        mounted = Mounted(self.names, self.report)
        stored = Stored(mounted, self.project, self.files, self.report, knobs, addresses, set(outside.values()))
        made: dict[str, Data] = {}
        for name in services:
            made[name] = {**sources[name].data, **programs[name].translated()}
            made[name] |= process.process(plain[name], f"services.{name}", self.report, job=name in jobs)
            tmpfs = made[name].pop("tmpfs", ())
            made[name] |= stored.mounted(name, self.node[name], plain[name], sources[name].context, tmpfs)
            scripts.run_by_interpreters(made[name], stored.mounts.scripts.get(self.node[name], {}), name, self.report)
        externals = self._externals(outside, addresses)
        edges = order.edges(self.project, self.node, jobs, addresses, made, externals, self.report)
        for name in services:
            node = self.node[name]
            made[name] |= edges.of(name)
            if node in ports and ports[node].ports:
                made[name]["expose"] = ports[node].written()
                told = ", ".join(f"{each} on {port}" for each, (port, _) in ports[node].ports.items())
                self.report.taken(f"services.{name}.expose", f"its endpoints: {told}")
            if node in addresses.logins and any(node == to for to, _ in edges.addressed):
                login = addresses.logins[node]
                made[name]["outputs"] = {login.endpoint: dict(login.fields)}
                told = f"who connects to its {login.endpoint} is told {listed(list(login.fields))}"
                self.report.taken(f"services.{name}.environment", told)
            if name in jobs:
                made[name]["run"] = "upgrade"
                told = "others wait for its end, so it is a job: it runs at the first deploy and when it has changed"
                self.report.changed(f"services.{name}", f"{told}, not at every start (run: upgrade)")
        self._defaults(made, jobs)
        reached = edges.reached(self.project)
        secrets = confidential.declared(
            knobs.secrets, reached, stores, self.project.given, _kept(made) | stored.texts, self.report
        )
        if doors:
            self.site["publish"] = {door: {"port": port.host} for door, _, port in doors if port.host}
        self._unplaced(addresses)
        sections: Data = {
            "bundle": self._named(),
            "version": _VERSION,
            "values": knobs.values,
            "secrets": {**secrets, **stored.secrets(self.site)},
            "externals": {name: {"as": kind} for name, (kind, _, _) in externals.items()},
            "volumes": stored.mounts.volumes,
            "configs": stored.mounts.configs,
            "services": {self.node[name]: made[name] for name in services if name not in jobs},
            "jobs": {self.node[name]: made[name] for name in services if name in jobs},
            "publish": {door: f"{node}.{ports[node].named(port.port)}" for door, node, port in doors},
        }
        copies = [*stored.mounts.copies.values()]
        copies += [
            Copy(each.context, each.context) for each in sources.values() if each.context and "build" in each.data
        ]
        return Imported(
            {key: part for key, part in sections.items() if part != {}},
            {key: part for key, part in self.site.items() if part},
            self._remarks(),
            tuple(self._site_remarks(sections, externals)),
            tuple(dict.fromkeys(copies)),
            self.report,
        )

    def _name_nodes(self) -> None:
        for name in self.project.services:
            self.node[name] = self.names.take(name)
            if self.node[name] != name:
                self.report.changed(f"services.{name}", renamed(self.node[name]))

    def _settled(self, name: str) -> Data:
        """The service with everything settled but its texts; what a variable decided there is told."""
        service = self.project.services[name]
        texts = ("environment", "command", "entrypoint", "healthcheck")
        for key, value in service.items():
            if key in keys.TRANSLATED and key not in texts and not (key == "image" and "build" in service):
                taken = keys.PARTS["build"].taken if key == "build" else as_map(value)
                value = {name: part for name, part in value.items() if name in taken} if as_map(value) else value
                self._decided(f"services.{name}.{key}", value)
        return {key: part if key in texts else _settle(part, self.project.given) for key, part in service.items()}

    def _named(self) -> str:
        written, made = self.project.written, label(self.project.name)
        told = f"the bundle is {made}, version {_VERSION}"
        if written == made:
            self.report.taken("name", told)
        else:
            self.report.changed("name", f"{told}: {written} is no DNS label")
        return made

    def _decided(self, where: str, value: Any) -> None:
        """Tell of the variables that stand in it, which no site will be asked for."""
        chosen = [part for part in _strings(value) if any(variables(part))]
        if chosen:
            whole, given = "\n".join(chosen), self.project.given
            names = list(dict.fromkeys(one.name for one in variables(whole)))
            fixed = ", ".join(confidential.shown(part, given) for part in chosen)
            missing = [one for one in variables(whole) if one.required and not given.get(one.name)]
            told = "".join(f"; the file asks for {one.name}: {one.rest}" for one in missing if one.rest)
            self.report.changed(
                where, f"{several(names)} decided now: {fixed or 'nothing'}{origin(whole, given)}{told}"
            )

    def _source(self, name: str, service: Data) -> _Source:
        """The image or what it is built from."""
        where = f"services.{name}"
        image, build = str(service.get("image") or ""), service.get("build")
        own = f"{self.project.name}-{name}"  # as Compose names what it builds
        own = own if re.fullmatch(forms.REFERENCE, own) else f"{label(self.project.name)}-{self.node[name]}"
        if build is not None:
            said = as_map(build) if isinstance(build, dict) else {"context": build}
            context = posixpath.normpath(str(said.get("context", ".")))
            context = context if re.fullmatch(forms.RELATIVE_PATH, context) else ""
            known = keys.PARTS["build"]
            for key in (key for key in said if key in known.left_out):
                self.report.left_out(f"{where}.build.{key}", known.left_out[key])
            more = [key for key in said if key not in {*known.taken, *known.left_out}]
            more += ["dockerfile"] if said.get("dockerfile") not in (None, "Dockerfile", "./Dockerfile") else []
            why = f"{', '.join(more)}: a graph builds a folder with a Dockerfile and nothing else" if more else ""
            why = why or ("its folder is not below this one" if not context else "")
            if not why and self.files.kind(f"{context}/Dockerfile") != "file":
                why = f"there is no {posixpath.join(context, 'Dockerfile')}"
            if not why:
                if image:
                    self.report.left_out(f"{where}.image", "it is built, and a bundle names it itself")
                return _Source({"build": f"./{context}" if context != "." else "."}, None, context)
            tag = image if re.fullmatch(forms.REFERENCE, image) and len(image) <= _MAX_IMAGE else own
            told = f"{why}; `docker compose build` makes the image {tag}, and `bundle build` takes it from the engine"
            self.report.changed(f"{where}.build", told)
            return _Source({"image": tag}, tag, context or None)
        if not re.fullmatch(forms.IMAGE, image) or len(image) > _MAX_IMAGE:
            told = f"{image[:80]} is no image" if image else "there is neither image nor build"
            self.report.refused(f"{where}.image", f"{told}; {own} stands in its place")
            return _Source({"image": own}, None, None)
        return _Source({"image": image}, image, None)

    def _externals(self, outside: Mapping[str, str], addresses: Addresses) -> dict[str, tuple[str, str, int]]:
        """Name -> type, host and port of each address outside."""
        made: dict[str, tuple[str, str, int]] = {}
        for host, node in outside.items():
            for index, (port, kind) in enumerate(addresses.endpoints[node].ports.values()):
                made[node if index == 0 else self.names.take(f"{node}-{port}")] = (kind, host, port)
        return made

    def _published(
        self, plain: Mapping[str, Data], jobs: set[str], ports: Mapping[str, Endpoints]
    ) -> dict[str, list[Published]]:
        opened: dict[str, list[Published]] = {}
        for name, service in plain.items():
            opened[name] = list(dict.fromkeys(endpoints.published(service, f"services.{name}", self.report)))
            for key in ("ports", "expose") if name in jobs else ():
                if service.get(key):
                    self.report.refused(f"services.{name}.{key}", "a job listens on no port")
                opened[name] = []
            for each in opened[name]:
                ports[self.node[name]].add(each.port)
        return opened

    def _doors(
        self, opened: Mapping[str, list[Published]], ports: Mapping[str, Endpoints], jobs: set[str]
    ) -> list[tuple[str, str, Published]]:
        """Door, node and port of each published one."""
        made = []
        taken = Names()
        for name, published in opened.items():
            node = self.node[name]
            for each in published:
                endpoint = ports[node].named(each.port)
                door = taken.take(
                    node if len(published) == 1 else f"{node}-{endpoint}", f"{node}-{each.host or each.port}"
                )
                told = f"the front door {door}"
                if each.host:
                    told += f"; its port {each.host} is in the site file"
                if each.address not in (None, "127.0.0.1"):
                    told += f"; {each.address} is the site's to say: bind"
                self.report.taken(f"services.{name}.ports", told)
                if each.host and each.address is None:
                    told = "front doors open on this machine alone, where Compose opens them to others"
                    self.report.changed("services", f"{told}: bind: 0.0.0.0 beside a port of the site file does too")
                made.append((door, node, each))
        return made

    def _login(self, name: str, image: str | None, program: Program, addresses: Addresses) -> None:
        """What the environment of a well-known image says about how to log in."""
        known = images.known(image) if image else None
        environment = self.project.services[name]["environment"]
        if known is None or not known.login or self.node[name] not in addresses.endpoints:
            return
        fields: dict[str, str] = {}
        for key, candidates in known.login.items():
            variable = next((each for each in candidates if environment.get(each) not in (None, "")), None)
            text = program.environment_text(variable) if variable else known.usual.get(key)
            if text:
                fields[key] = text
        endpoint = addresses.endpoints[self.node[name]].named(known.ports[0][1])
        if "password" in fields and endpoint:
            addresses.logins[self.node[name]] = Login(endpoint, fields)

    def _defaults(self, made: Mapping[str, Data], jobs: set[str]) -> None:
        """What holds where the file says nothing, and is another thing in Compose."""
        silent = [name for name, each in self.project.services.items() if name not in jobs and "restart" not in each]
        if silent:
            told = "where no restart is said, a service that ends is started again, unless it is made a job"
            self.report.changed("services", f"{told}: {listed(silent)}")
        timed = ("interval", "timeout", "start_period")
        checked = [name for name, each in made.items() if set(timed) - set(each.get("healthcheck", timed))]
        if checked:
            told = "a health check that does not say them has the graph's interval, timeout and start_period"
            self.report.changed("services", f"{told} (bundle explain healthcheck): {listed(checked)}")

    def _unplaced(self, addresses: Addresses) -> None:
        back = {node: name for name, node in self.node.items()}
        for node, target in sorted(addresses.unplaced):
            told = f"it names {target}, and nothing says on which port {target} listens: connect it by hand"
            self.report.changed(f"services.{back[node]}", told)

    def _remarks(self) -> dict[str, tuple[str, ...]]:
        """What was refused, by the node that it is missing of; "" for the whole."""
        made: dict[str, list[str]] = {}
        for each in self.report:
            if each.verdict != "refused":
                continue
            services = [name for name in self.node if f"{each.where}.".startswith(f"services.{name}.")]
            node = self.node[max(services, key=len)] if services else ""
            made.setdefault(node, []).append(f"{each.where}: {each.message}")
        return {node: tuple(told) for node, told in made.items()}

    def _site_remarks(self, sections: Data, externals: Mapping[str, tuple[str, str, int]]) -> Iterable[str]:
        given = self.site.get("secrets", {})
        needed = [name for name, part in sections["secrets"].items() if not part and name not in given]
        if needed:
            yield f"secrets that are still to be given, each as NAME: {{file: …}} or {{env: …}}: {', '.join(needed)}"
        for name, (_, host, port) in externals.items():
            yield f"external to be given: {name}: {{host: …, port: {port}}}, for {host} of the Compose file"
        if "publish" in self.site:
            yield "a door opens on this machine alone; bind: 0.0.0.0 beside its port opens it to others"


@dataclass(frozen=True, slots=True)
class _Source:
    """`image` is None where it is built; `context` is the folder that it is built from, here or by Compose."""

    data: Data
    image: str | None
    context: str | None


def _settle(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _settle(part, given) for key, part in value.items()}
    if isinstance(value, list):
        return [_settle(part, given) for part in value]
    return settled(value, given) if isinstance(value, str) else value


def _kept(made: Mapping[str, Data]) -> dict[str, list[str]]:
    """Where in its services -> the texts of the graph as they are in it."""
    keys = ("environment", "command", "entrypoint", "healthcheck")
    found = {f"services.{name}.{key}": _strings(service.get(key)) for name, service in made.items() for key in keys}
    return {where: [*texts] for where, texts in found.items()}


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    return [value] if isinstance(value, str) else []
