"""Deploy: from an image template to new servers."""
