"""Tables in files: reading them for a model, and writing embeddings beside what they belong to."""

from fastparadime.utils.tables.raw import Reading
from fastparadime.utils.tables.reading import Table, read_labels, read_table, table_of
from fastparadime.utils.tables.recipe import MISSING, SCALES, Recipe
from fastparadime.utils.tables.roles import Choice
from fastparadime.utils.tables.writing import OUTPUTS, check_output, write_embedding

__all__ = [
    "MISSING",
    "OUTPUTS",
    "SCALES",
    "Choice",
    "Reading",
    "Recipe",
    "Table",
    "check_output",
    "read_labels",
    "read_table",
    "table_of",
    "write_embedding",
]
