"""What moves a task."""
