"""Following a job: waits, streams, and what is owed to others at its end."""
