"""The pure core: templates, volumes, extents, manifests, operations. No I/O but the table file."""
