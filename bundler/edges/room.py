"""How much room there is where something is written to."""

from __future__ import annotations

import shutil
from pathlib import Path

from bundler.model.finding import Finding

LEAST_BYTES = 1 << 30  # less is too little for nearly every image


def room(place: Path, purpose: str) -> Finding:
    """On the file system of a directory."""
    free = shutil.disk_usage(place).free
    told = f"{free / (1 << 30):,.1f} GiB free in {place}"
    return Finding(
        "room", told, purpose, ok=free >= LEAST_BYTES, hint=None if free >= LEAST_BYTES else "make room there"
    )
