"""Plain Docker Engine, container by container."""
