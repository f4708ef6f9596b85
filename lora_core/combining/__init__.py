"""The mathematics of keeping: sums, truncation and methods of combining, on one matrix at a time."""

from .combined import Combined, as_delta
from .method import METHODS, Look, Method, Options
from .overlap import Overlap, overlap_of
from .part import PartTerm, matrix_of
from .product import (
    Decomposition,
    Matrix,
    Product,
    as_product,
    decomposed,
    difference_norm,
    inner_products,
    rows_of,
    singular_values_of,
    size_of,
)
from .ranks import RankRule, Spectrum, read_rule
from .resize import cut, ranks_of

__all__ = [
    "METHODS",
    "Combined",
    "Decomposition",
    "Look",
    "Matrix",
    "Method",
    "Options",
    "Overlap",
    "PartTerm",
    "Product",
    "RankRule",
    "Spectrum",
    "as_delta",
    "as_product",
    "cut",
    "decomposed",
    "difference_norm",
    "inner_products",
    "matrix_of",
    "overlap_of",
    "ranks_of",
    "read_rule",
    "rows_of",
    "singular_values_of",
    "size_of",
]
