"""Tests of the drivers of agent programs."""
