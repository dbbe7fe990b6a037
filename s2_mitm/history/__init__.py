"""The recording: its tables, what writes it and what reads it."""
