"""The matrix: every real agent program in every place, through a real server."""
