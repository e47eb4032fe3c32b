"""Runs inside the sandbox: starts candidates, judges and times them. Standard library and numpy only."""
