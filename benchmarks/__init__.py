"""What a message costs the server, beside what it costs others: ``python -m benchmarks``, in a clone."""
