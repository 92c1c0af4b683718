"""Packages are loaded by one thread at a time: `requests`, which several of them share, imports its own modules in a
circle, and a second thread finds them half loaded."""

from __future__ import annotations

from threading import RLock

ONE_THREAD = RLock()
