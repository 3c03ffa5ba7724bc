"""Tests of the models: providers on loopback servers, and what stands between them and muster."""
