"""Many files at once: a table of a library, and a new file for each of many, on all cores."""

from .library import Listing, list_library
from .makers import Analyse, Rewrite, Taken
from .making import Maker, Order, make_all
from .pool import cores
from .tally import Failure, Tally, Watch

__all__ = [
    "Analyse",
    "Failure",
    "Listing",
    "Maker",
    "Order",
    "Rewrite",
    "Taken",
    "Tally",
    "Watch",
    "cores",
    "list_library",
    "make_all",
]
