"""The typed HTTP client that the command line uses."""
