"""Where agents run: every place ends in the same run directory."""
