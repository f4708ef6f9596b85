"""The mathematics of keeping: sums, truncation and methods of combining, on one matrix at a time."""

from .method import METHODS, Method, Options
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

__all__ = [
    "METHODS",
    "Decomposition",
    "Matrix",
    "Method",
    "Options",
    "Product",
    "RankRule",
    "Spectrum",
    "as_product",
    "decomposed",
    "difference_norm",
    "inner_products",
    "read_rule",
    "rows_of",
    "singular_values_of",
    "size_of",
]
