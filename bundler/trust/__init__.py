"""Keys, signatures, policy; verified bundles."""
