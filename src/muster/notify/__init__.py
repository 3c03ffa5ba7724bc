"""Notifiers: who outside of muster is told of what a rule or a person's question says."""
