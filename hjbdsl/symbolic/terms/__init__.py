"""The generator L^a V, one kind of randomness a file: each its share in symbols and in print."""
