"""A training step: batches of edges, their loss, networks and their optimizer."""
