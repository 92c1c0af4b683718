"""What was looked for, and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`told` is what was found, or what is the matter; `purpose` what it is needed for; `hint` how to get or mend it.
    One that is not `needed` is no failure where it is not there. `failure` says of an address in a word why nobody
    answers: "name", "refused", "time", "broken", "certificate", "client", "tls", "protocol" or "other"."""

    what: str
    told: str
    purpose: str
    ok: bool = True
    needed: bool = True
    hint: str | None = None
    failure: str = ""
