"""What every adapter family is measured against: the trainers' own code.

A case builds one small file with its trainer's own save function, every parameter filled with
numbers that matter, and says what the trainer's own forward makes of the weights.
"""

from .case import Case, Made
from .lycoris_cases import LYCORIS, LYCORIS_RARE
from .peft_cases import PEFT, PEFT_RARE
from .rewritten import REWRITTEN

CASES: list[Case] = [*LYCORIS, *PEFT, *REWRITTEN]
RARE: list[Case] = [*LYCORIS_RARE, *PEFT_RARE]

__all__ = ["CASES", "LYCORIS", "PEFT", "RARE", "REWRITTEN", "Case", "Made"]
