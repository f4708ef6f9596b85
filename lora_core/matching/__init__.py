"""Step 2, match: a recipe and the models' names become a plan of all that will happen, and its report."""

from .divide import MODES, Halves, Layers, Mode, Weights, halves
from .held import held_for
from .lanes import Lane
from .match import Addend, Model
from .outcome import outcomes_of
from .plan import Plan, make_plan
from .report import Report

__all__ = [
    "MODES",
    "Addend",
    "Halves",
    "Lane",
    "Layers",
    "Mode",
    "Model",
    "Plan",
    "Report",
    "Weights",
    "halves",
    "held_for",
    "make_plan",
    "outcomes_of",
]
