"""Where things are on this machine; with `cli.site`, the only readers of the environment."""

from __future__ import annotations

import os
from pathlib import Path

from bundler.errors import UsageError


def data_dir() -> Path:
    """Keys and trust: $XDG_DATA_HOME/graphbundle."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def keys_dir() -> Path:
    return data_dir() / "keys"


def cache_dir() -> Path:
    """What can be made again: $XDG_CACHE_HOME/graphbundle."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def _xdg(variable: str, default: str) -> Path:
    base = Path(os.environ.get(variable, ""))
    try:
        return (base if base.is_absolute() else Path.home() / default) / "graphbundle"
    except RuntimeError as error:
        raise UsageError(
            "nothing says where your home directory is", hint=f"set HOME, or {variable} to a directory for it"
        ) from error
