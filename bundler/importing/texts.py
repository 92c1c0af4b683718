"""Texts of environment and command -> the graph's texts: variables become values and secrets, addresses edges."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bundler.importing.confidential import Joined, Secrets
from bundler.importing.naming import Names
from bundler.importing.report import Report
from bundler.importing.said import options
from bundler.importing.variables import Variable, asked, behind, meaning, origin, settled, several

_OURS = re.compile(r"\$(?=\{[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+\})")
_PASSWORD = re.compile(r"://[^:/@\s]*:\$\{secrets\.[a-z0-9-]+(?=\}@)")


@dataclass(slots=True)
class Knobs:
    """The values of the graph, by the variables of Compose that they come from."""

    given: Mapping[str, str]
    secrets: Secrets
    is_address: Callable[[str, str], bool]  # variable, text -> whether it leads to a node
    report: Report
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    _known: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _names: Names = field(default_factory=Names)

    def text(self, raw: str, where: str, variable: str = "") -> str:
        """The graph's text for one of Compose; `variable` is the one that it is the value of."""
        made = ""
        for part in self.secrets.parted(raw, self.given):
            if isinstance(part, Variable):
                made += _MARK.format(self._variable(part, where, variable or part.name))
            elif isinstance(part, Joined):
                made += _MARK.format(f"${{secrets.{part.secret}}}")
                told = f"no {'values' if len(part.names) > 1 else 'value'} for a site to give"
                self.report.changed(where, f"{several(part.names)} {told}: part of the secret {part.secret}")
            else:
                made += part
        return self._placed(made)

    def arguments(self, raw: Sequence[str], where: str) -> list[str]:
        """The graph's arguments for those of Compose: what an option says to be a secret is one as a whole."""
        plain = [settled(each, self.given) for each in raw]
        hidden = {index for _, index in options(plain)}
        made = []
        for index, text in enumerate(plain):
            secret = self.secrets.by_literal.get(text) if index in hidden else None
            made.append(f"${{secrets.{secret.name}}}" if secret else self.text(raw[index], where))
        return made

    def _placed(self, made: str) -> str:
        """Literal parts with their secrets as placeholders, and what looks like a placeholder and is none escaped. The
        password of an address is percent-encoded there."""
        pieces = re.split(f"{_MARK[0]}([^{_MARK[-1]}]*){_MARK[-1]}", made)
        text = "".join(
            self.secrets.placed(_OURS.sub("$$", piece)) if index % 2 == 0 else piece
            for index, piece in enumerate(pieces)
        )
        return _PASSWORD.sub(r"\g<0>.encoded", text)

    def _variable(self, one: Variable, where: str, variable: str) -> str:
        text = meaning(one, self.given)
        inner = {each.name for each in asked(one.written, self.given)} - {one.name}
        secret = self.secrets.by_variable.get(one.name)
        if secret is None and not inner.isdisjoint(self.secrets.by_variable):
            secret = self.secrets.by_literal.get(text)
        if secret:
            return f"${{secrets.{secret.name}}}"
        placed, named = self.secrets.placed(text), origin(one.written, self.given)
        subject = "" if where.endswith(f".environment.{one.name}") else f"{one.name} is "
        if one.operator in (":+", "+"):
            placed = self.text(behind(one, self.given) or "", where, variable)
            told = f"${{{one.name}{one.operator}…}} is decided now: {placed or 'nothing'}{named}"
        elif any(self.is_address(name, text) for name in (variable, one.name)):
            told = f"{subject}no value for a site to give: the address in it is the graph's own{named}"
        elif placed != text or not inner.isdisjoint(self.secrets.by_variable):
            placed = placed if placed != text else self.text(behind(one, self.given) or "", where, variable)
            told = f"{subject}no value for a site to give: the password in it is a secret{named}"
        elif len(text) > _MAX_VALUE:
            told = (
                f"{subject}no value for a site to give: it has {len(text)} characters, and a value {_MAX_VALUE}{named}"
            )
        else:
            return f"${{values.{self._value(one, text, where, subject)}}}"
        self.report.changed(where, told)
        return placed

    def _value(self, one: Variable, text: str, where: str, subject: str) -> str:
        default = None if one.required and one.name not in self.given else text
        key = (one.name, default)
        if key not in self._known:
            self._known[key] = name = self._names.take(one.name).replace("-", "_")
            self.values[name] = {} if default is None else {"default": default}
            told = "which the site gives" if default is None else f'"{default}" unless the site says otherwise'
            if default == "" and not one.optional:
                told += "; nothing sets it here"
            named = (
                "the value of that name" if not subject and name == one.name.lower() else f"{subject}the value {name}"
            )
            self.report.taken(where, f"{named}, {told}{origin(one.written, self.given)}")
        return self._known[key]


_MAX_VALUE = 4096  # characters, as in a graph
_MARK = "\ue000{}\ue001"  # private characters around what is settled, so that it is not read again
