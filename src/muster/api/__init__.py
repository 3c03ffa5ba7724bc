"""REST and live streams over the counter."""
