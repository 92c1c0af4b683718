"""Site files -> Site.

Reads: one or more `Source`s and the checked graph they answer; no file.
Writes: `model.site.Site`.
Next: the release.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bundler.errors import GraphError, Position, Problem, UsageError
from bundler.graphfile import placeholders, types, values
from bundler.graphfile.confidential import is_secret
from bundler.graphfile.forms import address_hint, written_duration
from bundler.graphfile.site_grammar import SECRET, SITE
from bundler.graphfile.source import Path, Source, document, merge, parse, placed, problem_order, quoted, scalar
from bundler.graphfile.walk import Walker, closest, suggestion
from bundler.model.graph import Graph
from bundler.model.site import SecretSource, Site, SiteDoor

_NAMED = ("values", "publish", "externals", "storage")  # sections keyed by one word
_SOURCES = tuple(key.name for key in SECRET.keys)
_WORDS = ("site", "target", "variant", "namespace", "context", "timeout")


class SiteError(UsageError):
    """A site file or a `--set` is wrong; carries every problem found, sorted by position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=problem_order))
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in what the site says")


def read_site(text: str, file: str) -> Source:
    """`source.parse`, with SiteError for what is no YAML of ours."""
    try:
        return parse(text, file)
    except GraphError as error:
        raise SiteError(error.problems) from error


def parse_site(sources: Sequence[Source], graph: Graph) -> Site:
    """The sources merged in order (RFC 7386) and held against the graph. SiteError carries every problem."""
    if not sources:
        return Site()
    merged = merge(*sources)
    if merged.data is None:
        merged = Source(merged.file, {}, merged.marks)
    walker = Walker(merged)
    if isinstance(merged.data, Mapping):
        data = walker.walk(SITE, merged.data)
        _check(walker, data, graph)
    else:
        walker.report((), "a site file is a map of keys", "such as target: docker")
        data = {}
    if walker.problems:
        raise SiteError(walker.problems)
    return _build(data, merged)


def variant_of(sources: Sequence[Source]) -> str | None:
    """The variant that the sources, merged in order, ask for; None where they say nothing, or nothing sensible."""
    merged = merge(*sources).data if sources else None
    found = merged.get("variant") if isinstance(merged, Mapping) else None
    return found if isinstance(found, str) else None


def with_values(site: Site, graph: Graph, assignments: Sequence[str]) -> Site:
    """The site with `--set PATH=VALUE` on top: `values.language=de`, `publish.ui.port=9000`, any path of a site file.
    A text stands for a number or true or false where the graph or the site file wants one; null removes."""
    patches = []
    problems = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        steps = _steps(path.strip(), graph)
        if name := _given_by_value(path, steps, graph):
            way = f"--set secrets.{name}.file=FILE, or --set secrets.{name}.env=VARIABLE"
            problems.append(Problem(f"--set {path}", "no secret stands in a command, where others see it", way))
            continue
        hidden = path.startswith(("secret.", "externals.")) or is_secret(path)
        shown = "…" if hidden else text
        if not equals or not steps:
            near = closest(path, _paths(graph)) or (f"--set {path}=…" if steps else None)
            if meant := [one for one in _paths(graph) if path and path in (one, one.partition(".")[2])]:
                near = f"--set {meant[0]}={shown or '…'}"
            message = "expected PATH=VALUE with a path of a site file, such as values.language=de"
            problems.append(Problem(f"--set {path}{equals}{shown}", message, near))
            continue
        data: object = _meant(steps, text, graph)
        for step in reversed(steps):
            data = {step: data}
        patches.append(placed(data, f"--set {path}={shown}"))
    if problems:
        raise SiteError(problems)
    if not patches:
        return site
    made = parse_site([placed(site_document(site), "site"), *patches], graph)
    same = {name: one for name, one in site.secrets.items() if made.secrets.get(name) == one}  # each with its place
    return replace(made, secrets=_frozen({**made.secrets, **same}))


def site_document(site: Site) -> dict[str, Any]:
    """The data of a site file that says the same, for records; paths of secrets' files as they were resolved."""
    sections: dict[str, Any] = {
        "site": site.name,
        "target": site.target,
        "variant": site.variant,
        "namespace": site.namespace,
        "context": site.context,
        "values": dict(site.values),
        "secrets": {name: _fields(source, _SOURCES) for name, source in site.secrets.items()},
        "publish": {name: _fields(door, ("host", "port", "bind", "tls")) for name, door in site.doors.items()},
        "externals": {name: dict(fields) for name, fields in site.externals.items()},
        "storage": {name: dict(fields) for name, fields in site.storage.items()},
        "placement": {name: dict(fields) for name, fields in site.placement.items()},
        "timeout": None if site.timeout_s is None else written_duration(site.timeout_s),
    }
    return {key: part for key, part in sections.items() if part not in (None, {})}


def read_document(data: Mapping[str, object], graph: Graph) -> Site:
    """The inverse of `site_document`."""
    try:
        source = document(data, "site")
    except GraphError as error:
        raise SiteError(error.problems) from error
    return parse_site([source], graph)


@dataclass(frozen=True, slots=True)
class Lack:
    """What the graph needs and nobody has given: its path in a site file, ("values", NAME), ("secrets", NAME or
    EXTERNAL.FIELD) or ("externals", NAME, FIELD). Of an external each of `fields` would do; the first is the usual."""

    path: tuple[str, ...]
    problem: Problem
    fields: tuple[str, ...] = ()


def missing(site: Site, graph: Graph) -> tuple[Problem, ...]:
    """What the graph needs and the site does not give: values without a default, fields of externals that the graph
    reads, secrets that are not generated. (A target may still hold a secret from before.)"""
    return tuple(lack.problem for lack in lacks(site, graph))


def lacks(site: Site, graph: Graph, kept: Collection[str] = ()) -> tuple[Lack, ...]:
    """As `missing`, with the place of each in a site file; `kept` are the names of secrets that the target holds."""
    return (*_lacking_values(site, graph), *_lacking_secrets(site, graph, kept), *_lacking_fields(site, graph, kept))


def _lacking_values(site: Site, graph: Graph) -> Iterator[Lack]:
    for value in graph.values:
        if value.default is None and value.name not in site.values:
            message, hint = "needs a value; the graph has no default", f"--set values.{value.name}=…"
            yield Lack(("values", value.name), Problem(f"values.{value.name}", message, hint))


def _lacking_secrets(site: Site, graph: Graph, kept: Collection[str]) -> Iterator[Lack]:
    for secret in graph.secrets:
        if secret.generate is None and secret.name not in {*site.secrets, *kept}:
            hint = f"site file: secrets: {{{secret.name}: {{file: …}}}}"
            problem = Problem(f"secrets.{secret.name}", "needs a secret; the graph generates none", hint)
            yield Lack(("secrets", secret.name), problem)


def _lacking_fields(site: Site, graph: Graph, kept: Collection[str]) -> Iterator[Lack]:
    used = used_fields(graph)
    for external in graph.externals:
        given = {*site.externals.get(external.name, {}), *_secret_fields([*site.secrets, *kept], external.name)}
        for choice in types.needed_fields(external.type, used.get(external.name, frozenset())):
            if choice & given:
                continue
            fields = tuple(sorted(choice))
            path: tuple[str, ...] = ("externals", external.name, fields[0])
            hint = f"externals: {{{external.name}: {{{fields[0]}: …}}}}"
            if choice & types.secret_fields(external.type):
                path = ("secrets", f"{external.name}.{fields[0]}")
                hint = f"secrets: {{{external.name}.{fields[0]}: {{file: …}}}}"
            problem = Problem(f"externals.{external.name}", f"needs {' or '.join(fields)}", f"site file: {hint}")
            yield Lack(path, problem, fields)


def used_fields(graph: Graph) -> Mapping[str, frozenset[str]]:
    """The fields of each external that the texts of the graph file read. Those read by files of configs are not
    known here."""
    used: dict[str, set[str]] = {}
    contents = {config.name: config.content or "" for config in graph.configs}
    for workload in (*graph.services, *graph.jobs):
        slots = {edge.slot: edge.node for edge in workload.connect if edge.endpoint is None}
        texts = [text for _, text in workload.environment]
        texts += [*(workload.entrypoint or ()), *(workload.command or ())]
        texts += [contents[mount.name] for mount in workload.configs]
        for check in (getattr(workload, "healthcheck", None), getattr(workload, "liveness", None)):
            texts += (check.test or ()) if check else ()
        for ref in (ref for text in texts for ref in placeholders.refs(text)):
            if ref.scope in slots:
                used.setdefault(slots[ref.scope], set()).add(ref.field)
    return {name: frozenset(fields) for name, fields in used.items()}


def _secret_fields(names: Iterable[str], external: str) -> set[str]:
    return {name.partition(".")[2] for name in names if name.startswith(f"{external}.")}


def _fields(value: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: part for name in names if (part := getattr(value, name)) is not None}


def _check(walker: Walker, data: Mapping[str, Any], graph: Graph) -> None:
    schemas = {value.name: value.schema for value in graph.values}
    known = {
        "values": ("value", set(schemas)),
        "publish": ("front door", {door.name for door in graph.doors}),
        "externals": ("external", {external.name for external in graph.externals}),
        "storage": ("volume", {volume.name for volume in graph.volumes}),
        "placement": (
            "node",
            {f"services.{each.name}" for each in graph.services} | {f"jobs.{each.name}" for each in graph.jobs},
        ),
    }
    for section, (what, names) in known.items():
        for name in data.get(section, {}):
            if name not in names and (section != "placement" or "." in name):  # without, the form is wrong already
                message = f"the graph has no {what} {quoted(name)}"
                walker.report((section, name), message, suggestion(name, names, what), key=True)
    for name, value in data.get("values", {}).items():
        if name in schemas and (problem := values.misfit(schemas[name], value)):
            text = values.type_of(schemas[name]) == "string" and not isinstance(value, str)
            written = walker.source.written(("values", name)) or value
            walker.report(("values", name), f"values.{name} {problem}", f'quote it: "{written}"' if text else None)
    for name, door in data.get("publish", {}).items():
        if "bind" in door and not _is_address(door["bind"]):
            message = f"bind is {quoted(door['bind'])}, which is no IP address"
            walker.report(("publish", name, "bind"), message, address_hint(door["bind"]))
    _check_externals(walker, data, {external.name: external.type for external in graph.externals})
    _check_secrets(walker, data, graph)


def _check_externals(walker: Walker, data: Mapping[str, Any], externals: Mapping[str, str]) -> None:
    for name, fields in data.get("externals", {}).items():
        for field in fields if name in externals else ():
            path: Path = ("externals", name, field)
            known = types.fields_of(externals[name])
            if field not in known:
                message = f"an external of type {externals[name]} has no field {quoted(field)}"
                walker.report(path, message, suggestion(field, known, "field"), key=True)
            elif field in types.secret_fields(externals[name]):
                message = f"{name}.{field} is a secret, which does not stand in a site file"
                walker.report(path, message, f"write secrets: {{{name}.{field}: {{file: …}}}}", key=True)
            elif f"{name}.{field}" in data.get("secrets", {}):
                message = f"{name}.{field} is also given under secrets"
                walker.report(path, message, "keep one of them", key=True)
            elif field == "port" and not (
                re.fullmatch("[1-9][0-9]{0,4}", fields[field]) and int(fields[field]) < 65536
            ):
                walker.report(path, f"{name}.port is {quoted(fields[field])}, expected a port number from 1 to 65535")
            elif field in ("url", "endpoint"):
                _check_url(walker, fields[field], path, externals[name])


def _check_url(walker: Walker, url: str, path: Path, type: str) -> None:
    if re.match(r"[^/]*//[^/]*:[^/]*@", url):
        message = f"{path[1]}.{path[2]} holds a password, which does not stand in a site file"
        walker.report(path, message, f"write host, port and user, and secrets: {{{path[1]}.password: {{file: …}}}}")
    elif "://" not in url or types.address(url)[0] is None:
        message = f"{path[1]}.{path[2]} is {quoted(url)}, expected an address such as https://host.example:8443"
        walker.report(path, message)
    elif not types.serves(type, url):
        message = f"{path[1]}.{path[2]} is {quoted(url)}, and {path[1]} is of type {type}"
        walker.report(path, message, f"its address begins with {types.expected_schemes(type)}")


def _check_secrets(walker: Walker, data: Mapping[str, Any], graph: Graph) -> None:
    fields = {f"{each.name}.{field}" for each in graph.externals for field in types.fields_of(each.type)}
    names = {secret.name for secret in graph.secrets}
    for name in data.get("secrets", {}):
        if name in names or name in fields:
            continue
        near = closest(name, names | fields)
        hint = near or suggestion(name, names, "secret in the graph")
        walker.report(("secrets", name), f"the graph has no secret {quoted(name)}", hint, key=True)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _build(data: Mapping[str, Any], source: Source) -> Site:
    return Site(
        name=data.get("site"),
        target=data.get("target"),
        variant=data.get("variant"),
        namespace=data.get("namespace"),
        context=data.get("context"),
        values=_frozen(data.get("values", {})),
        secrets=_frozen({name: _secret(name, part, source) for name, part in data.get("secrets", {}).items()}),
        doors=_frozen({name: SiteDoor(**part) for name, part in data.get("publish", {}).items()}),
        externals=_frozen({name: _frozen(part) for name, part in data.get("externals", {}).items()}),
        storage=_frozen({name: _frozen(part) for name, part in data.get("storage", {}).items()}),
        placement=_frozen({name: _frozen(part) for name, part in data.get("placement", {}).items()}),
        timeout_s=data.get("timeout"),
    )


def _frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(sorted(data.items())))


def _secret(name: str, part: Mapping[str, str], source: Source) -> SecretSource:
    file = part.get("file")
    where = source.at(("secrets", name, *part))
    if file is not None and isinstance(where, Position):
        file = posixpath.join(posixpath.dirname(where.file), file)
    return SecretSource(file, part.get("env"), part.get("kubernetes"), where)


def _steps(path: str, graph: Graph) -> list[str]:
    """The path of an assignment, where names themselves have dots in them; empty where it is none."""
    section, _, rest = path.partition(".")
    if section in _WORDS and not rest:
        return [section]
    if section == "values" and rest:
        return [section, rest]
    if section in ("secrets", "placement"):
        name, _, field = rest.rpartition(".")
        return [section, name, field] if name and field else []
    if section in _NAMED:
        steps = [section, *rest.split(".")]
        return steps if len(steps) == 3 and all(steps) else []
    return [section, rest] if rest and re.fullmatch(r"[a-z]+", section) else []


def _given_by_value(path: str, steps: Sequence[str], graph: Graph) -> str | None:
    """The secret whose value, not where it is, an assignment would give; None of any other."""
    names = [secret.name for secret in graph.secrets]
    section, _, rest = path.strip().partition(".")
    if section != "secrets" or (steps and steps[-1] in _SOURCES):
        return path if path in names and not steps else None
    return next((name for name in names if rest.startswith(f"{name}.")), rest) or "NAME"


def _paths(graph: Graph) -> list[str]:
    """Paths of assignments that somebody may have meant."""
    found = [*_WORDS, *(f"values.{value.name}" for value in graph.values)]
    found += [f"storage.{volume.name}.{key}" for volume in graph.volumes for key in ("class", "shared")]
    return found + [f"publish.{door.name}.{key}" for door in graph.doors for key in ("port", "host", "bind", "tls")]


def _meant(steps: Sequence[str], text: str, graph: Graph) -> object:
    """The text as the type that is wanted at the path; no text at all is never `null`."""
    if not text:
        return text
    if steps[0] == "values":
        schema = next((value.schema for value in graph.values if value.name == steps[1]), {})
        return text if values.type_of(schema) == "string" else scalar(text)
    meant = scalar(text)
    no_text = (steps[0], steps[-1]) in (("publish", "port"), ("storage", "shared"))
    return meant if no_text or meant is None else text
