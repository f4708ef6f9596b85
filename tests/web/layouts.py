"""Where the nodes of each picture are, and what part of it is drawn."""

from __future__ import annotations

SHOWN = {1: "sd15.safetensors", 2: "character.safetensors", 3: "ink.safetensors"}

# id -> x, y, width, height
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
"""For the picture of a report; in the order of stage.two_loras()."""

APPLIED = {1: (0, 420, 280, 100), 2: (0, 0, 420, 330), 3: (480, 0, 420, 120)}
"""The same for rows; in the order of stage.applied_rows()."""

ASIDE = {number: (1300, 300 * number, 250, 100) for number in range(6, 12)}
