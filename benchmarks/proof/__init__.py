"""Planted defects: how many get through the gates, and how many good changes they stop."""
