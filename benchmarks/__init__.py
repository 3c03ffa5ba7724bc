"""What the documents claim about speed and weight, measured: `python -m benchmarks`."""
