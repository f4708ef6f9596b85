"""The drawing of grids: pixels that stay, and words beside them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.ImageFont import truetype

from lora_core.drawing import (
    Look,
    Words,
    draw_grid,
    fitted,
    frames_of,
    labels_of,
    lettering,
    near_square,
)
from tests.support.pixels import places

TEXT = 14
GAP = 8


def images(count, height=48, width=64, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return list(torch.rand(count, height, width, channels, generator=generator))


def drawn(cells, columns, gap=GAP, dark=False, **words):
    (image,) = draw_grid([cells], columns, Words(**words), Look(TEXT, gap, dark))
    return image


def without(whole, cells):
    """The ink of everything but the cells: True where something is written."""
    rest = whole.clone()
    for cell in cells:
        ((x, y),) = places(whole, cell)
        rest[y : y + cell.shape[0], x : x + cell.shape[1]] = 1
    return rest[..., 0] < 0.5


@pytest.mark.parametrize("gap", [0, 8])
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (6, 3), (5, 2), (4, 1), (2, 7)])
def test_without_words_it_is_the_images_and_the_gap(count, columns, gap):
    cells = images(count)
    whole = drawn(cells, columns, gap)
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    assert whole.shape == (gap + rows * (48 + gap), gap + columns * (64 + gap), 3)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        assert places(whole, cell) == [(gap + column * (64 + gap), gap + row * (48 + gap))]
    assert not without(whole, cells).any()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 4),
    st.lists(st.text(max_size=60), max_size=7),
    st.integers(0, 12),
)
def test_no_words_ever_touch_an_image(count, columns, words, gap):
    cells = images(count, 20, 24)
    labels = [*words, *[""] * count][:count]
    whole = drawn(cells, columns, gap, captions=labels)
    assert all(places(whole, cell) for cell in cells)


def ink_by_cell(whole, cells):
    """How much is written above each image."""
    ink = without(whole, cells)
    amounts = []
    for cell in cells:
        ((x, y),) = places(whole, cell)
        above = max([0, *(b + c.shape[0] for c in cells for _, b in places(whole, c) if b < y)])
        amounts.append(int(ink[above:y, x : x + cell.shape[1]].sum()))
    assert sum(amounts) == ink.sum()
    return amounts


def test_captions_stand_above_their_images_and_blanks_stay_blank():
    one, none, three = ink_by_cell(
        drawn(cells := images(3), 2, captions=["ink", "", "ink ink"]), cells
    )
    assert none == 0
    assert three == pytest.approx(2 * one, abs=2)
    assert one > 20


def test_long_captions_stay_above_their_own_image():
    cells = images(3)
    whole = drawn(cells, 3, captions=[LONG, LONG.replace(" ", "_"), "ink"])
    ink = without(whole, cells)
    for cell in cells:
        ((x, _),) = places(whole, cell)
        assert ink[:, x : x + 64].any()
        ink[:, x : x + 64] = False
    assert not ink.any()


def test_headers_stand_above_columns_and_beside_rows():
    cells = images(6)
    whole = drawn(cells, 3, top=["a", "b", "c"], left=["wide row", "x"])
    corners = [places(whole, cell)[0] for cell in cells]
    (left, top), ink = corners[0], without(whole, cells)
    assert left > GAP + 20
    assert top > GAP + TEXT
    assert [x for x, _ in corners[:3]] == [left, left + 72, left + 144]
    assert [y for _, y in corners[::3]] == [top, top + 56]
    for x in (left, left + 72, left + 144):
        assert ink[:top, x : x + 64].any()
    for y in (top, top + 56):
        assert ink[y : y + 48, :left].any()
    assert not ink[:top, :left].any()
    assert not ink[top:, left:].any()


@pytest.mark.parametrize("dark", [False, True])
def test_the_background_is_white_or_black_and_the_words_are_not(dark):
    cells = images(1)
    whole = drawn(cells, 1, dark=dark, captions=["ink"])
    assert whole[0, 0].tolist() == [float(not dark)] * 3
    assert (whole[: GAP + TEXT] == float(dark)).any()


def test_images_of_other_sizes_lie_in_the_middle_of_their_cells():
    cells = [*images(1, 48, 64), *images(1, 20, 30, seed=1), *images(1, 48, 10, seed=2)]
    whole = drawn(cells, 3)
    assert whole.shape == (64, 8 + 3 * 72, 3)
    assert [places(whole, cell) for cell in cells] == [[(8, 8)], [(97, 22)], [(179, 8)]]


def test_alpha_and_grey_are_kept_and_made_up():
    (colour,), (clear,), (grey,) = images(1), images(1, channels=4), images(1, channels=1)
    whole = drawn([colour, clear, grey], 3)
    assert whole.shape[-1] == 4
    assert places(whole, clear)
    assert places(whole[..., :3], colour) == places(
        whole, torch.cat([colour, torch.ones(48, 64, 1)], -1)
    )
    assert places(whole[..., :3], grey.expand(-1, -1, 3))
    assert whole[0, 0].tolist() == [1, 1, 1, 1]


def test_half_precision_stays_and_both_become_the_larger():
    half, full = images(1)[0].half(), images(1, seed=1)[0]
    assert drawn([half], 1).dtype == torch.float16
    whole = drawn([half, full], 2)
    assert whole.dtype == torch.float32
    assert places(whole, half.float())
    assert places(whole, full)


def test_bytes_stay_bytes():
    clear, plain = ((image * 255).byte() for image in (images(1, channels=4)[0], images(1)[0]))
    whole = drawn([clear, plain], 2, captions=["ink", ""])
    assert whole.dtype == torch.uint8
    assert places(whole, clear)
    assert places(whole[..., :3], plain)
    assert whole[0, 0].tolist() == [255] * 4
    assert whole[..., 3].min() == clear[..., 3].min()
    assert whole[: GAP + TEXT, :, 0].min() < 60


def batches(*lengths):
    return [torch.stack(images(n, 8, 8, seed=seed)) for seed, n in enumerate(lengths)]


def test_one_batch_lies_side_by_side():
    ((*cells,),) = frames_of(batches(3))
    assert len(cells) == 3


def test_batches_of_one_length_are_a_grid_for_each_of_their_images():
    items = batches(4, 4, 4)
    frames = frames_of(items)
    assert [[image.sum() for image in frame] for frame in frames] == [
        [item[k].sum() for item in items] for k in range(4)
    ]
    video = draw_grid(frames, 3, Words(["a", "b", "c"]), Look(TEXT))
    assert len(video) == 4
    for frame, cells in zip(video, frames, strict=True):
        assert all(places(frame, cell) for cell in cells)


def test_batches_of_several_lengths_lie_side_by_side_under_their_labels():
    items = batches(1, 3)
    (cells,) = frames_of(items)
    assert len(cells) == 4
    assert labels_of(["base", "ink"], items, 4) == ["base", "ink", "ink", "ink"]
    assert labels_of(["1", "2", "3", "4"], items, 4) == ["1", "2", "3", "4"]
    assert labels_of(["1", "2", "3"], items, 4) == ["1", "2", "3", ""]
    assert labels_of(list("abcdef"), items, 4) == list("abcd")


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (3, 3), (6, 6), (7, 3), (9, 3), (10, 4), (16, 4), (17, 5)]
)
def test_columns_when_nobody_says(count, columns):
    assert near_square(count) == columns


LONG = "a watercolour of a lighthouse at dawn with a very long description that never ends"


@pytest.mark.parametrize("text", [LONG, LONG.replace(" ", "_"), LONG[:30], "ink 0.5", "a\nb", ""])
@pytest.mark.parametrize("width", [3, 40, 64, 300])
def test_words_are_wrapped_made_smaller_and_cut_to_the_width(text, width):
    lettering = fitted([text], width, 24)
    lines = lettering.lines[text]
    assert len(lines) <= 3
    assert all(lettering.font.getlength(line) <= max(width, 24) for line in lines)
    shown = "".join(lines).replace(" ", "")
    wanted = "".join(text.split())
    assert shown == wanted or (shown.endswith("…") and wanted.startswith(shown[:-1]))


def test_words_with_room_keep_their_size_and_all_have_one_size():
    assert fitted(["ink 0.5"], 300, 24).font.size == 24
    both = fitted(["ink 0.5", "a_word_that_is_too_wide"], 200, 24)
    assert 12 <= both.font.size < 24
    assert both.lines["a_word_that_is_too_wide"] == ["a_word_that_is_too_wide"]


def letters(text):
    return "".join(fitted([text], 10000, 20).lines[text])


def test_letters_that_no_font_has_are_boxes_and_no_error():
    strange = "\U0001f3a8 \u4e2d \ue000 \u0301 \ud7ff"
    assert "".join(letters(strange).split()) == "".join(strange.split())
    assert drawn(images(1), 1, captions=[strange]) is not None


def family(text):
    return fitted([text], 300, 20).font.getname()[0]


def test_pillows_own_font_does_for_ascii_and_where_there_is_no_better(monkeypatch):
    assert family("ink 0.5, 0.5 (a + b)") == "Aileron"
    monkeypatch.setattr(lettering, "OTHER_FONTS", ("no such font.ttf",))
    assert family("größer \u4e2d") == "Aileron"


def test_for_letters_that_it_lacks_the_systems_fonts_are_asked():
    try:
        truetype("DejaVuSans.ttf")
    except OSError:
        pytest.skip("no DejaVu Sans on this system")
    text = "größer, плёнка"
    assert family(text) != "Aileron"
    font = fitted([text], 300, 20).font
    assert not lettering._lacking(font, text)
