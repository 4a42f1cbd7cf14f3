"""The smallest worker of each peer that does what `benchmarks.worker` measures: one call to the model.

Each is run as its own documentation says, and filled by `python -m benchmarks.peers.NAME COUNT` or by the benchmark.
"""
