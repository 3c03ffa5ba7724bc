"""Where people see work: pull requests, reviews and merges at a forge."""
