"""Images, weights and configs from where they are -> blobs."""
