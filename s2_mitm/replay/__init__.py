"""Recorded conversations, from any source, judged again."""
