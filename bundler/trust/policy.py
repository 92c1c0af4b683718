"""Whose signatures count."""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import TrustError
from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Policy:
    """`threshold` different keys of `trusted` must have signed. With no key at all, everything is refused.

    `allow_unsigned` waives missing signatures and signatures of unknown keys, never a wrong one.
    """

    trusted: tuple[PublicKey, ...]
    threshold: int = 1
    allow_unsigned: bool = False

    def __post_init__(self) -> None:
        if len({key.fingerprint for key in self.trusted}) != len(self.trusted):
            raise TrustError("a key is trusted twice", hint="count each key once, whatever its names")
        if type(self.threshold) is not int or self.threshold < 1:
            raise TrustError(f"{self.threshold} signatures asked for: at least 1 is needed")
        if self.threshold > max(1, len(self.trusted)):
            raise TrustError(f"{self.threshold} signatures asked for, and {len(self.trusted)} keys are trusted")

    def key(self, fingerprint: str) -> PublicKey | None:
        return next((key for key in self.trusted if key.fingerprint == fingerprint), None)
