"""Building the house: leaf rooms by entry point, the parts joined, the server run."""
