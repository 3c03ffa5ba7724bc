"""Tests of the house itself: its verbs, its documents, its package, and what tests lean on."""
