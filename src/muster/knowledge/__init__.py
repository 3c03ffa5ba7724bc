"""What do we know? The words an agent is given."""
