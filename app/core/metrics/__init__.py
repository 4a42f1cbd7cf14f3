"""Numbers for Prometheus: their families, their buckets, and the page on a port of a process's own."""
