"""Who is told what happens in the sessions: the log, the metrics, the recording."""
