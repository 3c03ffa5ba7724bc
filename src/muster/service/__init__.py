"""The counter behind every door: each request, whichever way it came in."""
