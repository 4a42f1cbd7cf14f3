"""What tests and benchmarks share: the stand-in model server and the makers of PDFs."""
