"""The store: content-addressed chunks and manifests."""
