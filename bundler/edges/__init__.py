"""The doors to the world: processes, the Docker engine, HTTP, files, ports. Nothing else opens one."""
