"""The contact sheet: every picture at its place, and a marked cell where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lora_core.drawing import Look, Words, draw_grid
from lora_render import sheet
from lora_render.sheet import draw_sheet
from tests.render.made import entry
from tests.support.pixels import places

SIZE = (64, 48)


def saved(folder, name, seed=0, size=SIZE, **options):
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(folder / name, **options)
    return torch.from_numpy(noise)


def drawn(folder, entries):
    draw_sheet(entries, folder, folder / "sheet.png")
    with Image.open(folder / "sheet.png") as image:
        return torch.from_numpy(np.array(image))


def grid(folder, parameters, **more):
    images = [saved(folder, f"{n}.png", n) for n in range(len(parameters))]
    entries = [entry(n, each, f"{n}.png", **more) for n, each in enumerate(parameters)]
    return images, entries


def by_hand(images, columns, **words):
    return draw_grid([images], columns, Words(**words), Look())[0]


def test_two_parameters_are_columns_and_rows(tmp_path):
    pairs = [{"Ink.strength": s, "KSampler.seed": seed} for s in (0.5, 1.0) for seed in (1, 2, 3)]
    images, entries = grid(tmp_path, pairs)
    expected = by_hand(
        images, 3, top=["seed 1", "seed 2", "seed 3"], left=["strength 0.5", "strength 1.0"]
    )
    assert drawn(tmp_path, reversed(entries)).equal(expected)


def test_rows_of_the_table_in_any_order_make_the_same_table(tmp_path):
    pairs = [{"a.x": x, "b.y": y} for y in (1, 2) for x in (1, 2)]
    (one, two, three, four), entries = grid(tmp_path, pairs)
    expected = by_hand([one, three, two, four], 2, top=["y 1", "y 2"], left=["x 1", "x 2"])
    assert drawn(tmp_path, entries).equal(expected)


def test_one_parameter_is_above_each_picture(tmp_path):
    images, entries = grid(tmp_path, [{"Ink.strength": s, "b.y": 1} for s in (0.5, 1.0)])
    assert drawn(tmp_path, entries).equal(
        by_hand(images, 2, captions=["strength 0.5", "strength 1.0"])
    )


def test_parameters_of_one_name_are_told_apart_by_their_nodes(tmp_path):
    images, entries = grid(
        tmp_path, [{"a.ink.strength": x, "a.light.strength": y} for x in (1, 2) for y in (1, 2)]
    )
    top, left = ([f"{name}.strength {value}" for value in (1, 2)] for name in ("light", "ink"))
    assert drawn(tmp_path, entries).equal(by_hand(images, 2, top=top, left=left))


def test_most_pairs_are_columns_and_rows(tmp_path):
    """What is not there yet is a crossed cell."""
    pairs = [{"a.x": x, "b.y": y} for x in (1, 2) for y in (1, 2)]
    images, entries = grid(tmp_path, pairs)
    crossed = torch.from_numpy(np.array(sheet._crossed("", *SIZE)))
    expected = by_hand([*images[:3], crossed], 2, top=["y 1", "y 2"], left=["x 1", "x 2"])
    assert drawn(tmp_path, entries[:3]).equal(expected)


def test_few_pairs_have_captions(tmp_path):
    images, entries = grid(tmp_path, [{"a.x": n, "b.y": n} for n in range(3)])
    captions = ["x 0, y 0", "x 1, y 1", "x 2, y 2"]
    assert drawn(tmp_path, entries).equal(by_hand(images, 3, captions=captions))


def test_one_item_has_no_words(tmp_path):
    images, entries = grid(tmp_path, [{"a.x": 1}])
    assert drawn(tmp_path, entries).equal(by_hand(images, 1))


def test_an_item_that_failed_has_a_marked_cell_at_its_place(tmp_path):
    image = saved(tmp_path, "1.png")
    entries = [entry(0, {"a.x": 1}, status="timeout"), entry(1, {"a.x": 2}, "1.png")]
    whole = drawn(tmp_path, entries)
    ((x, y),) = places(whole, image)
    cell = whole[y : y + 48, x - 72 : x - 8]
    assert cell[24, :].float().std() > 0
    assert set(cell.unique().tolist()) >= {sheet.PAPER, 255}
    assert cell.min() < 160


def test_a_marked_cell_says_how_its_item_ended(tmp_path):
    timeout, lost = (
        drawn(tmp_path, [entry(0, {}, status=status)]) for status in ("timeout", "lost")
    )
    assert not timeout.equal(lost)


def test_of_an_animation_it_is_the_first_frame(tmp_path):
    first = saved(tmp_path, "a.png", 1)
    frames = [Image.open(tmp_path / "a.png"), Image.new("RGB", SIZE)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert places(drawn(tmp_path, [entry(0, {}, "a.webp")]), first)


@pytest.mark.parametrize("name", ["clip.mp4", "cut.png", "gone.png", None])
def test_what_is_no_picture_has_a_marked_cell(tmp_path, name):
    image = saved(tmp_path, "1.png")
    (tmp_path / "clip.mp4").write_bytes(b"ftyp")
    saved(tmp_path, "cut.png", 1)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    whole = drawn(tmp_path, [entry(0, {}, "1.png"), entry(1, {}, *filter(None, [name]))])
    assert places(whole, image) == [(8, 8)]
    assert whole.shape == (64, 152, 3)
    assert (whole[8:56, 80:144] == sheet.PAPER).any()


def test_the_first_file_that_is_a_picture_is_shown(tmp_path):
    image = saved(tmp_path, "1.png")
    (tmp_path / "clip.mp4").write_bytes(b"ftyp")
    assert places(drawn(tmp_path, [entry(0, {}, "clip.mp4", "1.png")]), image)


def test_only_failures_make_a_sheet_too_and_nothing_makes_none(tmp_path):
    assert drawn(tmp_path, [entry(0, {}, status="error")]).shape == (272, 272, 3)
    draw_sheet([], tmp_path, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_many_pictures_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "MOST_PIXELS", 64 * 48)
    _, entries = grid(tmp_path, [{"a.x": x} for x in range(4)])
    whole = drawn(tmp_path, entries)
    assert whole.shape[1] == 4 * 32 + 5 * 8


def test_pictures_of_other_sizes_lie_in_the_middle(tmp_path):
    large, small = saved(tmp_path, "a.png"), saved(tmp_path, "b.png", 1, (30, 20))
    whole = drawn(tmp_path, [entry(0, {}, "a.png"), entry(1, {}, "b.png")])
    assert places(whole, large) == [(8, 8)]
    assert places(whole, small) == [(97, 22)]
