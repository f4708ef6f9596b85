"""Where the nodes of each example and picture are, what part of it is drawn, and what a note in it says."""

from __future__ import annotations

# id -> x, y, width, height; in the order of stage.example()
LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 100),
    3: (0, 200, 300, 100),
    4: (360, 200, 280, 100),
    5: (700, 60, 240, 90),
    6: (1000, 60, 320, 90),
    7: (1380, 0, 320, 130),
    8: (1380, 200, 320, 130),
    9: (1380, 400, 320, 110),
    10: (1760, 0, 290, 290),
    11: (1760, 400, 290, 60),
    12: (2110, 0, 320, 360),
}
THUMBNAIL = range(1, 7)  # the algebra, without the sampling behind it
VIEW = 0.58, [130, 220]  # all of it in a window of common size
SHOWN = {1: "sd15.safetensors", 2: "character.safetensors", 3: "ink.safetensors"}

Note = tuple[tuple[int, int, int, int], str]
"""Where a note for the user is, and its text in Markdown."""

ROWS_LAYOUT = {
    1: (0, 420, 340, 100),
    2: (0, 0, 420, 340),
    3: (480, 0, 320, 110),
    4: (480, 200, 320, 250),
    5: (860, 0, 320, 130),
    6: (860, 200, 320, 130),
    7: (860, 400, 320, 110),
    8: (1240, 0, 290, 290),
    9: (1240, 400, 290, 60),
    10: (1590, 0, 320, 360),
}
"""In the order of stage.rows_example()."""

ROWS_THUMBNAIL = range(1, 5)
ROWS_VIEW = 0.7, [120, 160]

GRID_LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 90),
    3: (0, 180, 300, 90),
    4: (360, 60, 300, 150),
    5: (720, 60, 320, 110),
    6: (1100, 0, 320, 130),
    7: (1100, 200, 320, 130),
    8: (1100, 400, 320, 110),
    9: (1480, 0, 290, 290),
    10: (1480, 400, 290, 60),
    11: (1830, 0, 300, 220),
    12: (2190, 0, 420, 420),
}
"""In the order of stage.grid_example()."""

GRID_THUMBNAIL = range(2, 6)
GRID_VIEW = 0.52, [120, 240]

REGIONS_EXAMPLE = "lora_regions"
REGIONS_LAYOUT = {
    1: (1060, 420, 260, 100),
    2: (0, 0, 300, 90),
    3: (0, 180, 300, 90),
    4: (0, 370, 300, 110),
    5: (0, 570, 300, 110),
    6: (360, 370, 300, 150),
    7: (360, 600, 300, 30),
    8: (720, 0, 300, 90),
    9: (720, 180, 300, 90),
    10: (1080, 60, 240, 90),
    11: (1380, 60, 320, 90),
    12: (1760, 0, 320, 130),
    13: (1760, 200, 320, 130),
    14: (1760, 400, 320, 110),
    15: (2140, 0, 290, 290),
    16: (2140, 400, 290, 60),
    17: (2490, 0, 420, 360),
}
"""In the order of stage.regions_example()."""

REGIONS_THUMBNAIL = range(2, 11)
REGIONS_VIEW = 0.5, [170, 480]
REGIONS_NOTE = (
    (0, -260, 660, 190),
    """**Two LoRAs, each in its half of the picture.** White in a mask means: the LoRA acts here.

- Choose a checkpoint and two LoRAs. For another size of picture, change nothing: masks are stretched.
- You can draw a mask instead: *Load Image*, right-click, *Open in MaskEditor*. Soft edges work.
- If a LoRA is too weak, raise its strength first, then *elsewhere*.""",
)

PROMPTS_EXAMPLE = "lora_prompts"
PROMPTS_LAYOUT = {
    1: (0, 480, 300, 100),
    2: (0, 0, 300, 90),
    3: (0, 220, 300, 90),
    4: (0, 680, 300, 110),
    5: (0, 880, 300, 110),
    6: (360, 680, 300, 150),
    7: (360, 920, 300, 30),
    8: (360, 0, 320, 130),
    9: (360, 220, 320, 130),
    10: (740, 0, 320, 130),
    11: (1120, 0, 300, 110),
    12: (740, 220, 320, 130),
    13: (1120, 220, 300, 110),
    14: (1480, 100, 260, 60),
    15: (1120, 480, 320, 130),
    16: (1500, 480, 320, 110),
    17: (1880, 0, 290, 290),
    18: (1880, 480, 290, 60),
    19: (2230, 0, 420, 360),
}
"""In the order of stage.prompts_example()."""

PROMPTS_THUMBNAIL = (2, 3, *range(8, 15))
PROMPTS_VIEW = 0.52, [160, 460]
PROMPTS_NOTE = (
    (0, -260, 660, 190),
    """**Two prompts, each with its LoRA.** The masks say which part of the picture a prompt is for.

- Choose a checkpoint and two LoRAs. Without masks, both prompts are for the whole picture.
- The MODEL goes through both nodes, one after the other.
- If a LoRA changes the text encoder: put *Apply LoRA To Model*, with only CLIP connected, in front of its prompt.""",
)

BLOCKS_EXAMPLE = "lora_blocks"
BLOCKS_LAYOUT = {
    1: (0, 400, 300, 100),
    2: (0, 0, 300, 90),
    3: (360, 0, 320, 300),
    4: (740, 0, 320, 110),
    5: (1120, 0, 320, 130),
    6: (1120, 200, 320, 130),
    7: (1120, 400, 320, 110),
    8: (1500, 0, 290, 290),
    9: (1500, 400, 290, 60),
    10: (1850, 0, 300, 220),
    11: (2210, 0, 420, 560),
}
"""In the order of stage.blocks_example()."""

BLOCKS_THUMBNAIL = range(2, 5)
BLOCKS_VIEW = 0.52, [160, 540]
BLOCKS_NOTE = (
    (0, -330, 680, 260),
    """**What does each block of a model do with this LoRA?** A row for each line of *blocks*, a column for each value.

Lines for single blocks, if you know your model:

- SD 1.5: *only in 1-8*, *only mid*, *only out 3-11*
- SDXL: *only in 4-8*, *only mid*, *only out 0-5*
- Flux: *only double 0-18*, *only single 0-37*
- SD 3.5: *only joint 0-23*

*without* in place of *only* leaves a block out.""",
)

XY_LAYOUT = {
    1: (0, 0, 300, 90),
    2: (0, 160, 300, 90),
    3: (360, 40, 300, 150),
    4: (360, 260, 300, 90),
    5: (720, 40, 320, 110),
    6: (360, 420, 300, 180),
    7: (720, 420, 320, 110),
    8: (720, 600, 320, 60),
    9: (1100, 40, 290, 290),
    10: (1100, 420, 290, 60),
    11: (1450, 420, 300, 60),
    12: (1450, 40, 300, 220),
    13: (1810, 40, 420, 420),
}
"""In the order of in_host.xy_plot()."""

XY_VIEW = 0.6, [120, 160]

REPORTED = {
    1: (0, 400, 280, 100),
    2: (0, 0, 280, 90),
    3: (0, 200, 280, 90),
    4: (330, 0, 220, 90),
    5: (600, 0, 430, 200),
}
"""LAYOUT for the picture of a report; in the order of stage.two_loras()."""

APPLIED = {1: (0, 420, 280, 100), 2: (0, 0, 420, 330), 3: (480, 0, 420, 120)}
"""The same for rows; in the order of stage.applied_rows()."""

ASIDE = {number: (1300, 300 * number, 250, 100) for number in range(6, 12)}
