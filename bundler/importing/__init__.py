"""A file of another tool -> a graph file, with a report of every decision.

`compose` is the whole of it for Compose: `yamltext` and `variables` read, `sources` takes in what is included and
extended, `project` settles what Compose settles (several files, profiles, env files), `program`, `process`, `health`,
`endpoints` and `mounts` translate services, `searching` finds what is secret (`confidential`), `addresses` the edges,
`writing` the text. Only `folder` looks at a disk.
"""
