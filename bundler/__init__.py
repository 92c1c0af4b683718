"""Describe a system as one graph, pack it into one signed bundle, deploy it unchanged. See ARCHITECTURE.md."""

__version__ = "0.1.0"
