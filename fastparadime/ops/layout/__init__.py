"""Layouts without a network, and densMAP's term."""
