"""Step 2, match: a recipe and the models' names become a plan of all that will happen, and its
report."""

from .assign import MODES, LiveTerms, MergeLiveSplit, Mode, WeightTerms
from .live_term import LiveTerm
from .made import Progress
from .match import ModelView, WeightTerm
from .model_cache import cache_of
from .plan import ModelPlan, Plan, make_plan
from .report import Report
from .report_json import outcomes_of

__all__ = [
    "MODES",
    "LiveTerm",
    "LiveTerms",
    "MergeLiveSplit",
    "Mode",
    "ModelPlan",
    "ModelView",
    "Plan",
    "Progress",
    "Report",
    "WeightTerm",
    "WeightTerms",
    "cache_of",
    "make_plan",
    "outcomes_of",
]
