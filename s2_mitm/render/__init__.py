"""Verdicts as text that people read in a terminal."""
