"""A verified bundle and a site's answers -> a Release.

Reads    the bundle's graph, the site, what is observed and kept on the target
Writes   a Release: every address, value and front door decided; secrets by name only
Next     `Target.plan`
"""

from bundler.release.build import Inputs, Released, release
from bundler.release.platform import assumed
from bundler.release.record import read_record

__all__ = ["Inputs", "Released", "assumed", "read_record", "release"]
