"""What names of variables and forms of texts say of a secret. Nothing is guessed by the look of a password."""

from __future__ import annotations

import re

_LAST_WORDS = (
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "PW",
    "SECRET",
    "TOKEN",
    "PAT",
    "KEY",
    "SALT",
    "AUTH",
    "CREDENTIALS",
)
_NOT = ("PUBLIC_KEY", "ACCESS_KEY", "ROUTING_KEY", "PRIMARY_KEY", "PARTITION_KEY", "SORT_KEY")
PLAIN = re.compile(r"(?i)true|false|yes|no|on|off|none|null|basic|[0-9]{1,3}|/.*|\./.*|[a-z]+://.*")
LOGIN = re.compile(r"://([^:/@\s]*):([^@/\s]+)@")


def is_secret(variable: str) -> bool:
    """By its last word: DB_PASSWORD and PGPASSWORD, but not PASSWORD_FILE, MAX_TOKENS or AWS_ACCESS_KEY."""
    name = variable.upper().rstrip("0123456789_")
    if name.endswith("SECRET_KEY_BASE") or name.endswith("SECRET_ACCESS_KEY"):
        return True
    if name.endswith(_NOT):
        return False
    last = re.split(r"[_.-]", name)[-1]
    return last in _LAST_WORDS or last.endswith(("PASSWORD", "SECRET", "APIKEY"))
