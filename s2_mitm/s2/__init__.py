"""The S2 protocol: bytes and times in, verdicts out. No proxy, no database, no socket, no clock."""
