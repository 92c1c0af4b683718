"""A file of another tool -> a graph file, with a report of every decision.

`compose` is the whole of it for Compose: `yamltext` and `variables` read, `project` settles what Compose settles
(extends, profiles, the long forms), `service` translates one service with `mounts`, `process`, `health`, `endpoints`,
`confidential` finds what is secret, `addresses` the edges, `writing` the text. Only `folder` looks at a disk.
"""
