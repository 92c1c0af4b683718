"""The rows, in the order of the table."""

from ..row import ROWS as _REGISTERED
from ..row import Row
from . import files, images, jobs, network, process, resources, starting, words

_ORDER = (starting, files, words, network, jobs, resources, process, images)
ROWS: tuple[Row, ...] = tuple(
    row for module in _ORDER for row in _REGISTERED if row.check.__module__ == module.__name__
)

__all__ = ["ROWS"]
