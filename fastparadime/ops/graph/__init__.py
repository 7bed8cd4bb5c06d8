"""From distances to the symmetrized graph, and what is solved on it."""
