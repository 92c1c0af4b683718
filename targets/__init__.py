"""The adapters. They see contract, model, edges and errors of the core; the core never sees them."""
