"""A health check of Compose -> one of the graph: curl and wget against itself become `http`, `nc` becomes `tcp`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from bundler.graphfile import placeholders
from bundler.importing.endpoints import Endpoints
from bundler.importing.process import MAX_ARGUMENT, MAX_RETRIES, duration, words
from bundler.importing.project import Data, as_list, natural
from bundler.importing.report import Report

_URL = re.compile(r"(?:http://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::([0-9]{1,5}))?(/[!-~]*)?")
_QUIET = re.compile(  # options that change nothing about whether the page is there
    r"-[fsSLkqIi]+|--fail|--silent|--show-error|--location|--head|--quiet|--no-verbose|-nv|--spider|-q?O-|-qO-"
    r"|--tries=[0-9]+|--timeout=[0-9]+|--max-time=[0-9]+|--connect-timeout=[0-9]+|-T[0-9]+|-t[0-9]+"
    r"|--output=/dev/null|-O/dev/null|--output-document=(?:-|/dev/null)"
)
_WITH_VALUE = ("-o", "-O", "-qO", "-m", "-t", "-T", "--output", "--max-time", "--tries", "--timeout", "--retry")
_TAIL = re.compile(r"\s*(?:\|\|\s*(?:exit\s+[0-9]+|false))?\s*;?\s*$")
_SHELL = re.compile(r"[|&;<>$`()]")


def healthcheck(
    check: Data, where: str, ports: Endpoints, texts: Callable[[Sequence[str]], list[str]], report: Report
) -> tuple[Data, list[str]]:
    """The check, and the secrets whose bytes its test would show. `texts` makes the graph's arguments of Compose's."""
    test = as_list(check.get("test"))
    made, told = _asked(test, ports)
    if made:
        report.changed(f"{where}.test", told)
    else:
        made = {"test": _program(test, texts)}
        if made["test"][:1] in ([], ["CMD"], ["CMD-SHELL"], ["NONE"]):
            report.refused(f"{where}.test", "it names no program")
            return {}, []
        if any(len(each) > MAX_ARGUMENT for each in made["test"]):
            report.refused(f"{where}.test", f"an argument of a graph has {MAX_ARGUMENT} characters, and this one more")
            return {}, []
    named = [ref for each in made.get("test", ()) for ref in placeholders.refs(each) if ref.scope == "secrets"]
    if named:
        first = next(iter(ports.ports), None)
        told = "a test is kept in plain sight, and this one would hold a secret"
        report.changed(f"{where}.test", f"{told}: " + ("the port is asked instead" if first else "left out"))
        made = {"tcp": True} if first else {}
        if not made:
            return {}, [ref.field for ref in named]
    for key in ("interval", "timeout", "start_period"):
        if key in check:
            found = duration(check[key])
            if found and (found != "0s" or key == "start_period"):
                made[key] = found
            elif found is None:
                report.refused(f"{where}.{key}", f"{check[key]} is no duration")
    if retries := natural(check.get("retries"), MAX_RETRIES):
        made["retries"] = retries
    elif str(check.get("retries") or "0") != "0":
        report.refused(f"{where}.retries", f"{check['retries']} is no number from 1 to {MAX_RETRIES}")
    return made, [ref.field for ref in named]


def _program(test: list[Any], texts: Callable[[Sequence[str]], list[str]]) -> list[str]:
    head = str(test[0])
    if head == "CMD":
        return texts([str(each) for each in test[1:]])
    line = " ".join(str(each) for each in (test[1:2] if head == "CMD-SHELL" else test))
    return ["sh", "-c", *texts([line])] if line.strip() else []


def _asked(test: list[Any], ports: Endpoints) -> tuple[Data, str]:
    """A check that the graph can make itself, in images without curl too."""
    head, *rest = [str(each) for each in test]
    if head == "CMD":
        argv: list[str] | None = rest
    else:
        line = _TAIL.sub("", rest[0] if head == "CMD-SHELL" and rest else head)
        argv = None if _SHELL.search(line) else words(line)
    if not argv:
        return {}, ""
    program, *arguments = argv
    if program in ("curl", "wget"):
        return _page(arguments, ports, program)
    if program == "nc" and len(arguments) >= 2:
        target, port = arguments[-2], natural(arguments[-1], 65535)
        if port and target in ("localhost", "127.0.0.1") and set(arguments[:-2]) <= {"-z", "-v", "-vz", "-zv"}:
            return {"tcp": True, **_port(port, ports, None)}, "nc is tcp: true, which needs no program in the image"
    return {}, ""


def _page(arguments: list[str], ports: Endpoints, program: str) -> tuple[Data, str]:
    urls, skip = [], False
    for each in arguments:
        if skip or _QUIET.fullmatch(each):
            skip = False
        elif each in _WITH_VALUE:
            skip = True
        else:
            urls.append(each)
    found = _URL.fullmatch(urls[0]) if len(urls) == 1 else None
    port = natural(found[1] or 80, 65535) if found else None
    if not found or not port:
        return {}, ""
    made: Data = {"http": found[2] or "/", **_port(port, ports, "http")}
    told = f"{program} is http: {made['http']}, which needs no program in the image"
    lenient = program == "curl" and not any(re.fullmatch(r"-[a-zA-Z]*f[a-zA-Z]*|--fail", each) for each in arguments)
    return made, told + ("; a status of 400 and above is not well any more" if lenient else "")


def _port(port: int, ports: Endpoints, type: str | None) -> Data:
    name = ports.add(port, type)
    return {} if next(iter(ports.ports)) == name else {"port": port}
