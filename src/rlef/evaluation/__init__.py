"""Solve rates that can be trusted: n@k, controls, intervals."""
