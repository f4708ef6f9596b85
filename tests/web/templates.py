"""The templates of the pack: what each is called, shows and says.

A page shows the file's name as title and as description, and the picture beside it; see docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.host import Prompt
from tests.web import template_graphs as graphs
from tests.web.stage import numbered

FILE_INPUTS = {
    "ckpt_name",
    "unet_name",
    "vae_name",
    "clip_name",
    "clip_name1",
    "clip_name2",
    "lora_name",
}
"""What each user chooses: a template names no such file."""


@dataclass(frozen=True)
class Template:
    """One of them; ``graph`` builds it without its note."""

    name: str
    graph: Callable[[], Prompt]
    note: str
    runs: bool = True

    def prompt(self) -> Prompt:
        return numbered(self.graph())


TEMPLATES = (
    Template(
        "LoRA Algebra 1 - First steps",
        graphs.first_steps,
        """**One node for all your LoRAs.** *LoRA Rows* sits between the checkpoint and the rest, and applies its LoRAs by itself.

- Choose a checkpoint. Click *Add LoRA* and choose one or more LoRAs.
- Run. Each row then says what its file has changed, and the node shows a report.
- Next: drag a strength, or switch a row off, and run again.""",
    ),
    Template(
        "LoRA Algebra 2 - One list with trigger words",
        graphs.one_list,
        """**The trigger words come along.** The output *triggers* has the words of all rows that are on, and the prompt ends with them.

- Choose a checkpoint and add LoRAs. The arrow of a row opens its details. Click the words that you want.
- Write your prompt into *string_a*.
- Next: save the rows as a set, with *Sets* above the rows, and load them in another workflow.""",
    ),
    Template(
        "LoRA Algebra 3 - A strength that changes",
        graphs.schedule,
        """**LoRAs that act at the beginning and fade out.** The curve is a factor for all rows: 1 up to 50 %, 0 after 80 %. The percent is ComfyUI's own; see docs/schedules.md.

- Choose a checkpoint and add LoRAs.
- Draw another curve, or write one: *0:0, 1:1* lets the LoRAs come in slowly.
- Next: leave a LoRA constant. Put it into a second *LoRA Rows*, and add both with *Stack LoRAs*.""",
    ),
    Template(
        "LoRA Algebra 4 - Two regions",
        graphs.regions,
        """**Two LoRAs, each in its half of the picture.** White in a mask means: the LoRA acts here.

- Choose a checkpoint and two LoRAs. For another size of picture, change nothing: masks are stretched.
- You can draw a mask instead: *Load Image*, right-click, *Open in MaskEditor*. Soft edges work.
- Next: if a LoRA is too weak, raise its strength first, then *elsewhere*.""",
    ),
    Template(
        "LoRA Algebra 5 - XY plot of epochs",
        graphs.epochs,
        """**Which epoch is best, and how strong?** One run makes a row for each file and a column for each of *values*.

- Choose a checkpoint, and write your own files into *files*: a pattern such as *epochs/my-lora-\\**, a folder, or names.
- All pictures have the seed of *seeds*. With *1..4*, there are four of each.
- Next: connect another LORA to *across* to see both together, or choose *in turn* to make one picture in each run.""",
    ),
    Template(
        "LoRA Algebra 6 - Wan 2.2 high and low noise",
        graphs.wan,
        """**Pairs of LoRAs for the two models of Wan 2.2.** A row holds the file for high noise and the one for low noise.

- Choose both models, the text encoder (*umt5_xxl*) and the VAE (*wan_2.1_vae*).
- Add the high-noise file of a LoRA. If its partner lies beside it, the row takes it as well.
- Next: with a 4-step LoRA, set *steps* to 4, *end_at_step* of the first half and *start_at_step* of the second to 2, and *cfg* to 1.""",
        runs=False,
    ),
    Template(
        "LoRA Algebra 7 - Flux",
        graphs.flux,
        """**A list of LoRAs for Flux.** They act in the model, and in the text encoders if the files have something for them.

- Choose the model, both text encoders (*t5xxl* and *clip_l*) and the VAE (*ae*).
- Add LoRAs. An fp8 model keeps its weights: the LoRAs then run beside them.
- Next: to find out which blocks a LoRA needs, see the template *Blocks*, with *only double 0-18*.""",
        runs=False,
    ),
    Template(
        "LoRA Algebra 8 - Blocks",
        graphs.blocks,
        """**What does each block of a model do with this LoRA?** A row for each line of *blocks*, a column for each value.

- Choose a checkpoint and a LoRA.
- Lines for single blocks, if you know your model. SD 1.5: *only in 1-8*, *only mid*, *only out 3-11*. SDXL: *only in 4-8*, *only mid*, *only out 0-5*. SD 3.5: *only joint 0-23*. *without* in place of *only* leaves a block out.
- Next: write the blocks that you like into *LoRA Block Weights*.""",
    ),
    Template(
        "LoRA Algebra 9 - A LoRA for each prompt",
        graphs.prompts,
        """**Two prompts, each with its LoRA.** The masks say which part of the picture a prompt is for.

- Choose a checkpoint and two LoRAs. Without masks, both prompts are for the whole picture.
- The MODEL goes through both nodes, one after the other.
- Next: if a LoRA changes the text encoder, put *Apply LoRA To Model*, with only CLIP connected, in front of its prompt.""",
    ),
    Template(
        "LoRA Algebra 10 - Scale and add",
        graphs.sums,
        """**A LoRA is a value.** Each node takes a LORA and gives a LORA: this is LoRA 1 + 0.6 · LoRA 2.

- Choose a checkpoint and two LoRAs.
- *Scale LoRA* multiplies, *Stack LoRAs* adds. The text encoder has its own factor.
- Next: put *Schedule LoRA* or *Mask LoRA* behind any of them.""",
    ),
)
BY_NAME: Mapping[str, Template] = {template.name: template for template in TEMPLATES}


def template(number: int) -> Template:
    """Returns a template by the number in its name."""
    return TEMPLATES[number - 1]


def files_of(inputs: Iterable[str]) -> set[str]:
    return FILE_INPUTS.intersection(inputs)
