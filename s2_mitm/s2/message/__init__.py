"""One message by itself: read, held against its schema, and asked of s2-python."""
