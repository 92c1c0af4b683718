"""What `verify` promises of every byte: damage anywhere in a signed bundle is refused."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import sample
from checking import KEY, TRUSTING, check, refused

from bundler.errors import TrustError
from bundler.layout.archive import ArchiveReader
from bundler.trust.verify import read_signed


def test_damage_in_the_data_is_found_by_reading_it(tmp_path: Path) -> None:
    made = sample.smallest()
    path = made.write(tmp_path / "b", KEY)
    blob = made.assembly.data[0]
    with ArchiveReader(path) as reader:
        offset = reader.members[f"blobs/sha256/{blob.digest.hex}"].offset_bytes
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"!")
    with ArchiveReader(path) as reader:
        read_signed(reader, TRUSTING)  # says nothing of the data
    refused(path, f"{blob.digest} is damaged")


def flips(path: Path, places: range | list[int]) -> list[int]:
    """The bits that could be flipped without a refusal: none."""
    accepted = []
    fd = os.open(path, os.O_RDWR)
    data = path.read_bytes()
    try:
        for place in places:
            byte = data[place // 8]
            os.pwrite(fd, bytes([byte ^ 1 << place % 8]), place // 8)
            try:
                check(path)
                accepted.append(place)
            except TrustError:
                pass
            os.pwrite(fd, bytes([byte]), place // 8)
    finally:
        os.close(fd)
    return accepted


def test_flipped_bits_are_refused(tmp_path: Path) -> None:  # H16, R6
    path = sample.smallest().write(tmp_path / "b", KEY)
    bits = path.stat().st_size * 8
    assert flips(path, random.Random(1).sample(range(bits), 2000)) == []
    check(path)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """`data` with one change of structure: a piece deleted, inserted, doubled, moved, swapped or blanked."""
    unit = chance.choice([1, 512])
    first, second = sorted(chance.randrange(len(data) // unit + 1) * unit for _ in range(2))
    piece = data[first:second]
    place = chance.randrange(len(data) // unit + 1) * unit
    match chance.randrange(6):
        case 0:
            return data[:first] + data[second:]
        case 1:
            return data[:place] + chance.randbytes(unit * chance.randint(1, 4)) + data[place:]
        case 2:
            return data[:place] + piece + data[place:]
        case 3:
            rest = data[:first] + data[second:]
            return rest[:place] + piece + rest[place:]
        case 4:
            return data[:first] + piece[::-1] + data[second:]
        case _:
            return data[:first] + bytes(len(piece)) + data[second:]


def test_mutants_are_refused(tmp_path: Path) -> None:  # R6
    chance = random.Random(2)
    genuine = sample.smallest().write(tmp_path / "b", KEY).read_bytes()
    for _ in range(1000):
        changed = mutant(genuine, chance)
        if changed != genuine:
            (tmp_path / "m").write_bytes(changed)
            refused(tmp_path / "m", str(tmp_path))


def test_two_signed_bundles_do_not_mix(tmp_path: Path) -> None:  # R6, H50
    chance = random.Random(3)
    paths = [sample.smallest(version).write(tmp_path / version, KEY) for version in ("1.0.0", "2.0.0")]
    first, second = (path.read_bytes() for path in paths)
    for _ in range(300):
        place = chance.randrange(1, min(len(first), len(second)) // 512) * 512
        spliced = first[:place] + second[place:]
        if spliced not in (first, second):
            (tmp_path / "m").write_bytes(spliced)
            refused(tmp_path / "m", str(tmp_path))


EXHAUSTIVE = pytest.mark.skipif(
    not os.environ.get("BUNDLE_TEST_EXHAUSTIVE"), reason="takes minutes: BUNDLE_TEST_EXHAUSTIVE=1 runs it"
)


@EXHAUSTIVE
@pytest.mark.timeout(3600)
def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:  # R7
    from concurrent.futures import ProcessPoolExecutor

    count = os.cpu_count() or 1
    paths = [sample.smallest().write(tmp_path / f"b{worker}", KEY) for worker in range(count)]
    bits = paths[0].stat().st_size * 8
    ranges = [range(worker, bits, count) for worker in range(count)]
    with ProcessPoolExecutor(count) as pool:
        assert [place for found in pool.map(flips, paths, ranges) for place in found] == []


@EXHAUSTIVE
def test_every_truncation_is_refused(tmp_path: Path) -> None:  # R7, H17
    path = sample.smallest().write(tmp_path / "b", KEY)
    for size_bytes in reversed(range(path.stat().st_size)):
        os.truncate(path, size_bytes)
        with pytest.raises(TrustError):
            check(path)
