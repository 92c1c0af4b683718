"""Texts -> vectors. Three letters in a row are a feature; a model would do better, and this needs none."""

import math
import zlib

SIZE = 512


def encode(text: str) -> list[float]:
    """A vector of length 1; texts that are alike point the same way."""
    letters = " ".join(text.lower().split())
    vector = [0.0] * SIZE
    for start in range(len(letters) - 2):
        vector[zlib.crc32(letters[start : start + 3].encode()) % SIZE] += 1.0
    length = math.sqrt(sum(each * each for each in vector)) or 1.0
    return [each / length for each in vector]


def likeness(one: list[float], other: list[float]) -> float:
    """From 0, nothing in common, to 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))
