"""Holds outputs against expected outputs: program and tests in, report out."""
