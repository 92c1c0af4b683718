"""What is secret in a Compose file, as `searching` found it.

One literal is one secret wherever it stands, because programs that share a password must go on sharing it. The bytes
go nowhere: not into the graph, not into the site file, not into the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from urllib.parse import unquote

from bundler.graphfile.confidential import LOGIN, is_secret
from bundler.importing.report import Report
from bundler.importing.said import said
from bundler.importing.variables import EMPTY, Variable, asked, listed, meaning, origin, parse, settled, spread

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
WORD = "(?<![A-Za-z0-9_.-]){}(?![A-Za-z0-9_.-])"
_APART = "(?<![A-Za-z0-9_./-]){}(?![A-Za-z0-9_./-])"  # no part of a path either
_PLACED = re.compile(r"\$\{[a-z0-9_.-]+\}")
_MAX_MADE = 64  # characters of a secret that is made at the site
PAIR = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z][A-Za-z0-9_-]*)=([^,;&\s]+)")
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
        return bool(re.search(WORD.format(re.escape(self.literal)), _PLACED.sub("", text)))


@dataclass(frozen=True, slots=True)
class Joined:
    """What a text says to be one secret, and is written of several parts, these variables among them."""

    secret: str
    names: tuple[str, ...]


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

    def parted(self, raw: str, given: Mapping[str, str]) -> Iterator[str | Variable | Joined]:
        """The parts of a text, those that are one secret together as one."""
        whole = spread(raw, given)
        parts: dict[tuple[int, int, Variable | Joined], None] = dict.fromkeys(whole.places)
        for kind, start, end in hidden(whole.text):
            literal = whole.text[start:end].replace(EMPTY, "")
            secret, within = self.by_literal.get(literal if kind else unquote(literal)), whole.within(start, end)
            free = all(place in parts and place[2].name not in self.by_variable for place in within)
            if secret and within and free and start <= within[0][0] and within[-1][1] <= end:
                for place in within:
                    del parts[place]
                parts[start, end, Joined(secret.name, tuple(dict.fromkeys(one.name for _, _, one in within)))] = None
        done = 0
        for start, end, part in sorted(parts, key=lambda place: place[:2]):
            yield from [whole.text[done:start]] if start > done else []
            yield part
            done = end
        yield from [whole.text[done:]] if done < len(whole.text) else []

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
            told = f"the site gives it: what the file has for it is a word of {listed(built_in)} too, for all to read"
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
        source = secret.source.name if secret.source else secret.variable
        named = f"{source} is the secret" if source != secret.variable else "the secret"
        report.taken(where, f"{named} {secret.name}{also}; {told}")
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
    return PAIR.sub(lambda found: f"{found[1]}=…" if is_secret(found[1]) else found[0], made)


def hidden(text: str) -> Iterator[tuple[str, int, int]]:
    """What a text as Compose makes it has for secret: what it is, and from where to where; passwords of addresses
    without a name."""
    yield from ((kind, *found.span("value")) for kind, found in said(text))
    yield from (("", *found.span(2)) for found in LOGIN.finditer(text))
