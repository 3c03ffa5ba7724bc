"""Is it good? Supervision judges; it never writes."""
