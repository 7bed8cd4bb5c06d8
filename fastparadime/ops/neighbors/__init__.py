"""The nearest rows of each row: candidates by several searches, and their true distances."""
