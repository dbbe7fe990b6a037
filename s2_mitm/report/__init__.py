"""What people read: verdicts and recordings in the terminal."""
