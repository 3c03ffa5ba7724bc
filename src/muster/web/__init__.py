"""Pages over the counter."""
