"""Programs that are given to a project's test runs, and run by the project's own interpreter.

They know nothing of muster. They use the standard library and what the project has.
"""
