"""The catalogue of templates and what the store holds of them."""
