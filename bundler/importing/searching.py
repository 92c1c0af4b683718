"""The search for what is secret in a Compose file: by the names of variables, by the passwords in addresses, and where
a text says so itself (`said`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bundler.graphfile.confidential import LOGIN, PLAIN, is_secret
from bundler.importing.confidential import PAIR, WORD, Secret, Secrets, hidden
from bundler.importing.naming import Names
from bundler.importing.project import Project, as_list
from bundler.importing.said import options, said
from bundler.importing.variables import EMPTY, Spread, Variable, asked, meaning, parse, settled, spread, variables

_USUAL = ("postgres", "mysql", "root", "admin")  # users and databases that programs have where nothing is said


def secrets(project: Project, names: Names, stores: Set[str]) -> Secrets:
    """Every one of the services, named by those of the `stores` that it opens where it opens one."""
    first = sorted(project.services, key=lambda each: each not in stores)
    configs = set[str]()
    search = _Search(project, names, {service: [*_texts(project, service, configs)] for service in first})
    for service in first:
        search.by_name(service)
    search.found.plain |= {*project.services, *_USUAL}
    for service in first:
        search.by_word(service)
    for service in project.services:
        search.by_address(service)
    search.spoken()
    return search.found


@dataclass(slots=True)
class _Search:
    """`texts` of a service: those of its environment first, each with where it stands and what it is called by."""

    project: Project
    names: Names
    texts: Mapping[str, list[tuple[str, str, str]]]
    found: Secrets = field(default_factory=Secrets)

    def by_name(self, service: str) -> None:
        given, environment = self.project.given, self.project.services[service]["environment"]
        for where, variable, text in self.texts[service][: len(environment)]:
            literal = settled(text, given)
            parts = parse(text)
            whole = parts[0] if len(parts) == 1 and isinstance(parts[0], Variable) else None
            if is_secret(variable) and not PLAIN.fullmatch(literal) and "://" not in literal:
                self._add(service, variable, literal, whole, where)
            elif not is_secret(variable):
                said_so = (meaning(one, given) for one in asked(text, given) if is_secret(one.name))
                self.found.plain |= _others(literal).difference(said_so)
            outer = set(variables(text))
            for one in asked(text, given):
                if (is_secret(one.name) or one.name in self.found.by_variable) and one != whole:
                    self._add_variable(service, one, where, inner=one not in outer)
        for where, _, text in self.texts[service][len(environment) :]:
            outer = set(variables(text))
            for one in (one for one in asked(text, given) if is_secret(one.name)):
                self._add_variable(service, one, where, inner=one not in outer)

    def by_word(self, service: str) -> None:
        for where, named, raw in self.texts[service]:
            whole = spread(raw, self.project.given)
            for kind, start, end in hidden(whole.text):
                if kind and not self._is_told(whole, start, end):
                    literal = whole.text[start:end].replace(EMPTY, "")
                    self._add(service, f"{named}_{kind}", literal, whole.alone(start, end), where)
        for where, argv in _arguments(service, self.project.services[service]):
            written = [spread(each, self.project.given) for each in argv]
            for kind, index in options([each.text for each in written]):
                text = written[index].text
                one = written[index].alone(0, len(text))
                self._add(service, f"{service}_{kind}", text.replace(EMPTY, ""), one, where)

    def by_address(self, service: str) -> None:
        for where, named, raw in self.texts[service]:
            whole = spread(raw, self.project.given)
            for login in LOGIN.finditer(whole.text):
                if self._is_told(whole, *login.span(2)):
                    continue
                literal = unquote(login[2].replace(EMPTY, ""))
                new = literal not in self.found.by_literal
                secret = self._add(service, f"{named}_PASSWORD", literal, whole.alone(*login.span(2)), where)
                secret.login |= new and bool(literal)

    def spoken(self) -> None:
        """Who is told a password of an address in another way too."""
        texts = (
            (service, settled(raw, self.project.given)) for service, each in self.texts.items() for *_, raw in each
        )
        plain = [(service, text) for service, text in texts if not LOGIN.search(text)]
        for secret in (each for each in self.found.all if each.login):
            word = re.compile(WORD.format(re.escape(secret.literal)))
            told = {service for service, text in plain if secret.literal in text and word.search(text)}
            secret.users |= told
            secret.login = not told

    def _is_told(self, whole: Spread, start: int, end: int) -> bool:
        """Whether a variable that is a secret gives a part of what stands there."""
        known = any(one.name in self.found.by_variable for _, _, one in whole.within(start, end))
        return known and whole.alone(start, end) is None

    def _add_variable(self, service: str, one: Variable, where: str, *, inner: bool) -> None:
        """One that stands in a text; `inner`: in a default in it that holds."""
        literal = meaning(one, self.project.given)
        if not PLAIN.fullmatch(literal) and (literal or not inner):
            self._add(service, one.name, literal, one, where)

    def _add(self, service: str, variable: str, literal: str, one: Variable | None, where: str) -> Secret:
        """`one`: the variable of Compose that gives it, whatever that is called."""
        found, key = self.found, one.name if one else variable
        secret = found.by_literal.get(literal) if literal else found.by_variable.get(key)
        if secret is None:
            named = key if is_secret(key) else variable
            secret = Secret(self.names.take(named, f"{service}-{named}"), named, literal, one)
            found.all.append(secret)
        if literal:
            found.by_literal[literal] = secret
        found.by_variable.setdefault(key, secret)
        secret.required |= one is not None and one.required
        secret.optional |= one is not None and one.optional and not literal
        secret.users.add(service)
        if where not in secret.places:
            secret.places.append(where)
        return secret


def _text(variable: str, raw: object) -> str:
    """A variable without a value is that of whoever starts Compose."""
    return f"${{{variable}}}" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (str(each) for each in value)


def _texts(project: Project, service: str, configs: set[str]) -> Iterator[tuple[str, str, str]]:
    """With those of what it mounts that is not among `configs` yet, which a thousand services may share."""
    where, data = f"services.{service}", project.services[service]
    for variable, raw in data["environment"].items():
        yield f"{where}.environment.{variable}", variable, _text(variable, raw)
    for key, value in _program(data):
        yield from ((f"{where}.{key}", service, text) for text in _words(value))
    for entry in as_list(data.get("configs")):
        name = str(entry.get("source") if isinstance(entry, dict) else entry)
        if name not in configs:
            content = project.configs.get(name, {}).get("content")
            yield from ((f"configs.{name}", name, text) for text in _words(content))
        configs.add(name)


def _arguments(service: str, data: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The lists of arguments of a service, each with where it stands."""
    for key, value in _program(data):
        if isinstance(value, list):
            yield f"services.{service}.{key}", [str(each) for each in value]


def _program(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((key, data.get(key)) for key in ("command", "entrypoint"))
    yield "healthcheck", data.get("healthcheck", {}).get("test")


def _others(text: str) -> set[str]:
    """The words of a variable's text that are surely no secret: all of it, and what `key=` and an address have."""
    if LOGIN.search(text):
        return set(re.findall(r"[A-Za-z0-9_.-]+", LOGIN.sub("://\\1@", _unsaid(text))))
    return {text} | {found[2] for found in PAIR.finditer(_unsaid(text))}


def _unsaid(text: str) -> str:
    """Without what it says to be secret."""
    for _, one in reversed([*said(text)]):
        text = text[: one.start("value")] + text[one.end("value") :]
    return text
