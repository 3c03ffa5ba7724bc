"""What `make check` runs: the tools, and the small checks that no tool offers."""
