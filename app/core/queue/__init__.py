"""RQ's queues in Valkey, from the side of whoever puts a job there or asks about one."""
