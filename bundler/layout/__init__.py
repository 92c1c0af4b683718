"""The bytes of a bundle: one canonical tar that is an OCI layout."""
