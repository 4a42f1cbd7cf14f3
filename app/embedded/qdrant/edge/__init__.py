"""Qdrant's REST bodies in, Qdrant Edge's objects out, and back.

Pure mapping: no files, no HTTP. What Edge would take and then choke on is refused here, because Edge writes
an operation to its log before it looks at it. Three kinds of input make a shard unloadable after a crash or
its answers wrong, and none of them is an error in Edge 0.9: a sparse vector whose lists differ in length
(panic, again at each load), JSON nested deeper than its log can read back, and numbers beyond 32-bit floats.
"""
