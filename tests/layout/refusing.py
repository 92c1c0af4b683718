"""A bundle made to be read by us is refused as it should be."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sample
from forgery import Forgery

from bundler.errors import TrustError
from bundler.layout.archive import ArchiveReader
from bundler.layout.read import read_bundle


def refused(path: Path, why: str | None = None) -> TrustError:
    started = time.process_time()
    with pytest.raises(TrustError, match=why) as caught, ArchiveReader(path) as reader:
        read_bundle(reader)
    assert time.process_time() - started < 5
    assert "\n" not in caught.value.what
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 2000
    return caught.value


def forged(tmp_path: Path) -> Forgery:
    return Forgery(sample.whole(), tmp_path, sample.key())
