"""What a deploy needs of its surroundings: this machine, targets, and the externals of a graph as a site says where
they are.

Reads    a Graph and a Site where there are any; the machine, targets and addresses
Writes   nothing
Next     `cli` shows the findings
"""
