"""SVG -> PNG: the package resvg_py, or the program `rsvg-convert`."""

from __future__ import annotations

from importlib.util import find_spec

from bundler.edges import process
from bundler.errors import UsageError

MISSING = "pip install 'graphbundle[pictures]', or install rsvg-convert (Debian: librsvg2-bin); svg needs neither"
_TIMEOUT_S = 120.0


def png(svg: str, zoom: float) -> bytes:
    """The picture with `zoom` pixels for each of its own. Raises UsageError where nothing here can do it."""
    try:
        import resvg_py
    except ImportError:
        return _program(svg, zoom)
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom))
    except ValueError as error:
        raise UsageError(f"the picture cannot be drawn as png: {error}", hint="--format svg") from error


def found() -> str | None:
    """What would draw a png."""
    if find_spec("resvg_py") is not None:
        return "the package resvg_py"
    return "the program rsvg-convert" if process.has("rsvg-convert") else None


def _program(svg: str, zoom: float) -> bytes:
    convert = process.find("rsvg-convert", hint=MISSING, as_error=UsageError)
    argv = [convert, "--format=png", f"--zoom={zoom:g}"]
    done = process.run(argv, stdin=svg.encode(), timeout_s=_TIMEOUT_S, as_error=UsageError)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"{convert} could not draw the picture: {said[-500:]}", hint=MISSING)
    return done.stdout
