"""Runs one untrusted program on one input, isolated. Knows no expected output."""
