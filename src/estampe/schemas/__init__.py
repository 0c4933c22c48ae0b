"""Wire shapes of the API."""
