"""Models: one thin interface of ours, and what stands behind it. Nothing else knows a provider."""
