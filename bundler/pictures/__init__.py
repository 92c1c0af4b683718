"""Pictures of a system: before it is built, in a bundle, or as it runs.

Reads    a Graph, or a recorded Release with what is observed of it
Writes   a `Picture` (nodes, edges, states), and that as JSON, Mermaid, DOT, SVG, HTML
Next     a person looks at it

Pure. Where things go is asked of Graphviz (`bundler.edges.graphviz`), which gets sizes and numbers, no text.
"""
