"""A bundle is verified, or refused with its reason, by a policy that trusts one key."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample

from bundler.errors import TrustError
from bundler.layout.archive import ArchiveReader
from bundler.layout.canonical import Referrer
from bundler.model.bundle import VerifiedBundle
from bundler.trust.policy import Policy
from bundler.trust.verify import verify

KEY, OTHER = sample.key(1), sample.key(2)
TRUSTING = sample.trusting(KEY.public)


def check(path: Path, policy: Policy = TRUSTING) -> VerifiedBundle:
    with ArchiveReader(path) as reader:
        return verify(reader, policy)


def refused(path: Path, why: str, policy: Policy = TRUSTING) -> TrustError:
    with pytest.raises(TrustError, match=why) as caught:
        check(path, policy)
    return caught.value


def written(path: Path, made: sample.Sample, referrers: tuple[Referrer, ...]) -> Path:
    from bundler.layout.archive import ArchiveWriter

    with ArchiveWriter(path) as writer:
        for blob in made.assembly.data:
            writer.add_stream([made.data[blob.digest]])
        writer.finish(made.assembly, referrers)
    return path
