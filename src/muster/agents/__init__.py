"""Who does the work: one file per protocol of agent programs."""
