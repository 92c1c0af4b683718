"""What the graph means, concept by concept, is the same on every target, or the plan says what is not.

`rows` holds one small graph for each concept, what each target answers to it, and one check of what can be observed
from inside and outside the running system. `places` holds what differs between targets in how a test gets there.
`table` writes the README's table from a real run.
"""
