"""On what agents work: workspaces, snapshots of what they did, and merges."""
