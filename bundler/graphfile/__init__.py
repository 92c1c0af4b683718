"""YAML -> data with positions -> a checked Graph."""
