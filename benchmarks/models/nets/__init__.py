"""The nets of the built-in suite and of the speed benchmarks, one module per kind of work."""
