"""What is secret in a Compose file: found by the names of variables, by the passwords in addresses, and where a text
says so itself (`said`).

One literal is one secret wherever it stands, because programs that share a password must go on sharing it. The bytes
go nowhere: not into the graph, not into the site file, not into the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bundler.graphfile.confidential import LOGIN, PLAIN, is_secret
from bundler.importing.naming import Names
from bundler.importing.project import Project
from bundler.importing.report import Report
from bundler.importing.said import options, said
from bundler.importing.variables import Variable, asked, listed, meaning, origin, parse, settled, variables

_MADE_HERE = ("PASSWORD", "PASSWD", "PASS", "PWD", "SALT", "SECRET", "PASSPHRASE")  # not somebody else's to give
# What a graph makes for itself: nobody outside knows it.
_INTERNAL = re.compile(
    r"(?:^|_)SECRET_KEY_BASE$|(?:^|_)SALT$|^(?:(?:DJANGO|FLASK|APP)_)?SECRET(?:_KEY)?$"
    r"|(?:SESSION|COOKIE|JWT|CSRF|NEXTAUTH)_SECRET(?:_KEY)?$"
    r"|^(?:ADMIN|DJANGO_SUPERUSER)_(?:PASSWORD|PASSWD|PASS)$"
)
_FOREIGN = re.compile(r"(?:CLIENT_SECRET|WEBHOOK_SECRET)$|SMTP|MAIL|LDAP")
_ISSUED = re.compile(r"(?:KEY|TOKEN|PAT|AUTH|CREDENTIALS)$")  # by a store of the graph, or by others
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_WORD = "(?<![A-Za-z0-9_.-]){}(?![A-Za-z0-9_.-])"
_APART = "(?<![A-Za-z0-9_./-]){}(?![A-Za-z0-9_./-])"  # no part of a path either
_PLACED = re.compile(r"\$\{[a-z0-9_.-]+\}")
_MAX_MADE = 64  # characters of a secret that is made at the site
_PAIR = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z][A-Za-z0-9_-]*)=([^,;&\s]+)")
_USUAL = ("postgres", "mysql", "root", "admin")  # users and databases that programs have where nothing is said
_MIN_DISTINCT = 6  # characters of a literal that is looked for in other texts


@dataclass(slots=True)
class Secret:
    """`literal` is what stands in the file, or what `source` gives. `users` are the services that are told it; `login`:
    by addresses alone."""

    name: str
    variable: str
    literal: str
    source: Variable | None = None
    required: bool = False
    optional: bool = False
    login: bool = False
    users: set[str] = field(default_factory=set)
    places: list[str] = field(default_factory=list)

    def is_ours(self, stores: Set[str]) -> bool:
        """Whether it can be another one: all who must know it are surely in the graph."""
        name = self.variable.upper()
        if _INTERNAL.search(name):
            return True
        shared = len(self.users) > 1 and not _ISSUED.search(name)
        return not _FOREIGN.search(name) and (shared or bool(self.users & stores))

    def stands(self, text: str) -> bool:
        """Whether its literal is a word of a text of the graph."""
        if not self.literal or self.literal not in text:
            return False
        return bool(re.search(_WORD.format(re.escape(self.literal)), _PLACED.sub("", text)))


class Secrets:
    """`by_literal` and `by_variable` lead to the same secrets; `plain` are words that also stand for something else."""

    def __init__(self) -> None:
        self.all: list[Secret] = []
        self.by_literal: dict[str, Secret] = {}
        self.by_variable: dict[str, Secret] = {}
        self.plain: set[str] = set()

    def of(self, variable: str, text: str, given: Mapping[str, str]) -> Secret | None:
        """The secret that an environment variable is as a whole."""
        if not is_secret(variable):
            return None
        only = parse(text)
        if len(only) == 1 and isinstance(only[0], Variable) and only[0].name in self.by_variable:
            return self.by_variable[only[0].name]
        literal = settled(text, given)
        return self.by_literal.get(literal) if literal else self.by_variable.get(variable)

    @staticmethod
    def has_login(text: str) -> bool:
        """Whether an address in it holds a password."""
        return bool(LOGIN.search(text))

    def placed(self, text: str) -> str:
        """A literal text with its secrets as placeholders: passwords of addresses, what the text says to be one, and
        words that are nothing else."""
        text = LOGIN.sub(self._login, text)
        for _, found in reversed([*said(text)]):
            if secret := self.by_literal.get(found["value"]):
                text = f"{text[: found.start('value')]}${{secrets.{secret.name}}}{text[found.end('value') :]}"
        for literal, secret in self.by_literal.items():
            if literal in text and len(literal) >= _MIN_DISTINCT and literal not in self.plain:
                text = re.sub(_APART.format(re.escape(literal)), f"${{secrets.{secret.name}}}", text)
        return text

    def _login(self, found: re.Match[str]) -> str:
        secret = self.by_literal.get(unquote(found[2]))
        return f"://{found[1]}:${{secrets.{secret.name}}}@" if secret else found[0]


def find(project: Project, names: Names, stores: Set[str]) -> Secrets:
    """Every secret of the file's variables, named by those of the `stores` that it opens where it opens one."""
    found = Secrets()
    for service in sorted(project.services, key=lambda each: each not in stores):
        data = project.services[service]
        for variable, raw in data["environment"].items():
            text = _text(variable, raw)
            where = f"services.{service}.environment.{variable}"
            literal = settled(text, project.given)
            parts = parse(text)
            whole = parts[0] if len(parts) == 1 and isinstance(parts[0], Variable) else None
            if is_secret(variable) and not PLAIN.fullmatch(literal) and not _address(literal):
                _add(found, names, service, variable, literal, whole, where)
            elif not is_secret(variable):
                words = _others(literal)
                hidden = (meaning(one, project.given) for one in asked(text, project.given) if is_secret(one.name))
                found.plain |= words.difference(hidden)
            outer = set(variables(text))
            for one in asked(text, project.given):
                known = is_secret(one.name) or one.name in found.by_variable
                if known and one != whole:
                    _of_variable(found, names, service, one, where, project.given, inner=one not in outer)
        for key in ("command", "entrypoint"):
            for text in _words(data.get(key)):
                where, outer = f"services.{service}.{key}", set(variables(text))
                for one in (one for one in asked(text, project.given) if is_secret(one.name)):
                    _of_variable(found, names, service, one, where, project.given, inner=one not in outer)
    found.plain |= {*project.services, *_USUAL}
    for service in sorted(project.services, key=lambda each: each not in stores):
        data = project.services[service]
        for where, text in _texts(data):
            named = where.partition(".")[2] or service
            for kind, place in said(settled(text, project.given)):
                _add(found, names, service, f"{named}_{kind}", place["value"], None, f"services.{service}.{where}")
        for where, argv in _arguments(data):
            for kind, literal in options([settled(each, project.given) for each in argv]):
                _add(found, names, service, f"{service}_{kind}", literal, None, f"services.{service}.{where}")
    for service, data in project.services.items():
        for where, text in _texts(data):
            for login in LOGIN.finditer(settled(text, project.given)):
                literal = unquote(login[2])
                new = literal not in found.by_literal
                variable = f"{where.partition('.')[2] or service}_PASSWORD"
                _add(found, names, service, variable, literal, None, f"services.{service}.{where}")
                found.by_literal[literal].login |= new
    texts = ((service, text) for service, data in project.services.items() for _, text in _texts(data))
    plain = [(service, text) for service, raw in texts if not LOGIN.search(text := settled(raw, project.given))]
    for secret in (each for each in found.all if each.login):
        word = re.compile(_WORD.format(re.escape(secret.literal)))
        told = {service for service, text in plain if secret.literal in text and word.search(text)}
        secret.users |= told
        secret.login = not told
    return found


def _of_variable(
    found: Secrets, names: Names, service: str, one: Variable, where: str, given: Mapping[str, str], *, inner: bool
) -> None:
    """One that stands in a text; `inner`: in a default in it that holds."""
    literal = meaning(one, given)
    if not PLAIN.fullmatch(literal) and (literal or not inner):
        _add(found, names, service, one.name, literal, one, where)


def _add(
    found: Secrets, names: Names, service: str, variable: str, literal: str, one: Variable | None, where: str
) -> None:
    secret = found.by_literal.get(literal) if literal else None
    if secret is None:
        secret = found.by_variable.get(one.name if one else variable) if not literal else None
    if secret is None:
        named = one.name if one else variable
        secret = Secret(names.take(named, f"{service}-{named}"), named, literal, one)
        found.all.append(secret)
    if literal:
        found.by_literal[literal] = secret
    found.by_variable.setdefault(one.name if one else variable, secret)
    secret.required |= one is not None and one.required
    secret.optional |= one is not None and one.optional and not literal
    secret.users.add(service)
    if where not in secret.places:
        secret.places.append(where)


def declared(
    found: Secrets,
    reached: Mapping[str, set[str]],
    stores: Set[str],
    given: Mapping[str, str],
    texts: Mapping[str, Sequence[str]],
    report: Report,
) -> dict[str, dict[str, int]]:
    """The secrets as a graph has them. `reached`: who connects to or waits for a service; `stores`: services of
    well-known images; `texts`: where -> what is in the bundle as it stands."""
    made: dict[str, dict[str, int]] = {}
    for secret in found.all:
        where, others = secret.places[0], secret.places[1:]
        also = f", and in {len(others)} more place{'s' if len(others) > 1 else ''}" if others else ""
        strangers = set().union(*(reached.get(user, set()) for user in secret.users)) - secret.users
        built_in = [place for place, each in texts.items() if any(secret.stands(text) for text in each)]
        if secret.optional:
            told = "the site gives it; Compose does without, and an empty file says the same"
        elif built_in:
            told = f"the site gives it: what the file has for it stands in {listed(built_in)} too, and stays there"
        elif secret.required or not (secret.literal or secret.variable.upper().endswith(_MADE_HERE)):
            told = "the site gives it"
        elif secret.login:
            told = "the site gives it: only addresses in the file have it, so it is built in where they lead to"
        elif len(secret.literal) > _MAX_MADE or re.search(r"\s", secret.literal):
            told = "the site gives it: it is longer than what is made there, or has spaces or lines"
        elif _HEX.fullmatch(secret.literal):
            told = f"the site gives it; it has {len(secret.literal)} hexadecimal digits, which are not generated"
        elif secret.literal and len(secret.users) == 1 and secret.users <= stores and strangers:
            told = f"the site gives it: {' and '.join(sorted(strangers))} may have it built in"
        elif not secret.is_ours(stores):
            told = "the site gives it: nothing in the graph is known to be opened by it, so it may be somebody else's"
        else:
            told = ""
        made[secret.name] = {} if told else {"generate": max(24, len(secret.literal))}
        told = told or "made at the site, unless the site gives it"
        told += origin(secret.source.written, given) if secret.source else ""
        report.taken(where, f"the secret {secret.name}{also}; {told}")
    return made


def shown(text: str, given: Mapping[str, str]) -> str:
    """The text as Compose makes it, for people: without what its variables and words say is secret."""
    made = "".join(
        part
        if isinstance(part, str)
        else f"${{{part.name}}}"
        if any(is_secret(one.name) for one in asked(part.written, given))
        else meaning(part, given)
        for part in parse(text)
    )
    made = LOGIN.sub(r"://\1:…@", made)
    return _PAIR.sub(lambda found: f"{found[1]}=…" if is_secret(found[1]) else found[0], made)


def _text(variable: str, raw: object) -> str:
    """A variable without a value is that of whoever starts Compose."""
    return f"${{{variable}}}" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (str(each) for each in value)


def _texts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts of a service, each with where in it they stand."""
    yield from ((f"environment.{variable}", _text(variable, raw)) for variable, raw in data["environment"].items())
    yield from ((key, text) for key in ("command", "entrypoint") for text in _words(data.get(key)))
    yield from (("healthcheck", text) for text in _words(data.get("healthcheck", {}).get("test")))


def _arguments(data: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The lists of arguments of a service, each with where it stands."""
    lists = [(key, data.get(key)) for key in ("command", "entrypoint")]
    lists.append(("healthcheck", data.get("healthcheck", {}).get("test")))
    yield from ((key, [str(each) for each in value]) for key, value in lists if isinstance(value, list))


def _others(text: str) -> set[str]:
    """The words of a variable's text that are surely no secret: all of it, and what `key=` and an address have."""
    if LOGIN.search(text):
        return set(re.findall(r"[A-Za-z0-9_.-]+", LOGIN.sub("://\\1@", _unsaid(text))))
    return {text} | {found[2] for found in _PAIR.finditer(_unsaid(text))}


def _unsaid(text: str) -> str:
    """Without what it says to be secret."""
    for _, one in reversed([*said(text)]):
        text = text[: one.start("value")] + text[one.end("value") :]
    return text


def _address(literal: str) -> bool:
    return "://" in literal
