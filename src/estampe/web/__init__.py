"""The web console: pages rendered here, a client of the API like any other. docs/architecture.md says where to add a page."""
