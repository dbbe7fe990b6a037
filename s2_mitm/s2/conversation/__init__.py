"""A conversation: what was said so far, and what that means for the next message."""
