"""What tests and benchmarks share: the running product, clients of it, and servers and links that misbehave."""
