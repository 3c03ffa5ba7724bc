"""A model on the loopback: a scripted stand-in for the service that agent programs talk to."""
