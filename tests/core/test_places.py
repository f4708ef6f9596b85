"""Masks on latent images and on tokens, and which tokens are the picture's."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_core.applying.branches import Branch, Factor, PairBranch, VectorBranch
from lora_core.applying.latent_masks import on_latent, on_tokens
from lora_core.applying.places import Places, Scene
from lora_core.errors import LoraInputError
from lora_core.families import LowRank
from lora_core.naming import Layers, Tokens

sizes = st.integers(1, 17)


@settings(deadline=None)
@given(sizes, sizes, sizes, sizes, st.sampled_from([1, 2]))
def test_masks_that_sum_to_1_still_do(height, width, rows, columns, patch):
    mask = torch.rand(1, 3 * height, 2 * width)
    both = [on_latent(own, (height, width), 1) for own in (mask, 1 - mask)]
    assert torch.allclose(sum(both), torch.ones(1, height, width), atol=1e-6)
    grid = [-(-size // patch) for size in (height, width)]
    assert torch.allclose(sum(on_tokens(own, grid) for own in both), torch.ones(()), atol=1e-6)
    other = [on_tokens(own, (min(rows, height), min(columns, width))) for own in both]
    assert torch.allclose(sum(other), torch.ones(()), atol=1e-6)


def test_tokens_take_the_mean_of_their_patch_and_the_edge_is_repeated():
    mask = torch.arange(15.0).view(1, 3, 5)
    found = on_tokens(mask, (2, 3)).view(2, 3)
    assert found[0, 0] == mask[0, :2, :2].mean()
    assert found[1, 2] == mask[0, 2, 4]
    assert found[0, 2] == mask[0, :2, 4].mean()


def test_a_mask_for_each_image_or_frame():
    two = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    assert on_latent(two, (2, 2), 2).flatten(1).tolist() == [[0] * 4, [1] * 4]
    assert on_latent(two, (1, 2, 2), 2).shape == (2, 1, 2, 2)
    assert on_latent(two, (2, 2, 2), 1)[0].flatten(1).tolist() == [[0] * 4, [1] * 4]
    frames = torch.arange(9.0).view(9, 1, 1)
    assert on_latent(frames, (3, 1, 1), 1).flatten().tolist() == [0, 2.5, 6.5]
    assert on_latent(frames[:1], (3, 1, 1), 5).flatten().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("masks", "size", "images"),
    [(3, (2, 2), 2), (2, (2, 2), 1), (4, (3, 2, 2), 1), (2, (1, 2, 2), 3)],
)
def test_other_numbers_of_masks_are_refused(masks, size, images):
    with pytest.raises(LoraInputError, match=f"has {masks} masks"):
        on_latent(torch.ones(masks, 2, 2), size, images)


KEYS = {f"{name}.weight": (4, 4) for name in ("img", "txt", "both", "end")}
LAYERS = Layers(KEYS)
TOKENS = Tokens((2, 2), re.compile("^txt"), re.compile("^both"), after=("refs",))
LINEAR = torch.nn.Linear(4, 4)


def scene(tokens=TOKENS, before=0, after=0, inputs=1, **others):
    """A picture of 4 × 8 cells, whose left half is white for one part and black for the other."""
    one = torch.zeros(inputs, 4, 8)
    one[..., :4] = 1
    return Scene(
        tokens, torch.stack([one, 1 - one]), torch.tensor([0.25, 0.5]), before, after, **others
    )


def places(layer, length, made, width=None):
    x = torch.zeros(made.masks.shape[1], length, 4) if width is None else torch.zeros(*width)
    return Places(made).of(LAYERS[f"{layer}.weight"], LINEAR, x, x)


WHITE_LEFT = [1, 1, 0, 0] * 2


def test_the_picture_alone():
    found = places("img", 8, scene())
    assert found[0, :, 0].tolist() == WHITE_LEFT
    assert found[0, :, 1].tolist() == [1 - own for own in WHITE_LEFT]


def test_text_before_it_and_references_behind_it():
    found = places("both", 3 + 8 + 2, scene(after=2))
    assert found[0, :, 0].tolist() == [0.25] * 3 + WHITE_LEFT + [0.25] * 2
    assert found[0, :, 1].tolist()[:3] == [0.5] * 3


def test_references_before_it():
    assert places("img", 2 + 8, scene(before=2))[0, :, 0].tolist() == [0.25] * 2 + WHITE_LEFT
    assert places("img", 8, scene(before=2))[0, :, 0].tolist() == WHITE_LEFT  # they are cut off


def test_what_has_no_place():
    assert places("txt", 5, scene()).tolist() == [[[0.25, 0.5]]]
    assert places("img", 0, scene(), width=(1, 4)).tolist() == [[[0.25, 0.5]]]


def test_tokens_are_filled_up():
    tokens = Tokens((2, 2), re.compile("^txt"), re.compile("^both"), multiple=5)
    assert places("img", 10, scene(tokens))[0, :, 0].tolist() == [*WHITE_LEFT, 0.25, 0.25]
    assert places("both", 13, scene(tokens))[0, 3:, 0].tolist() == [*WHITE_LEFT, 0.25, 0.25]


def test_a_model_with_several_sizes():
    tokens = Tokens(None, re.compile("^txt"))
    small = scene(tokens, level=lambda: (2, 4))
    assert places("img", 8, small)[0, :, 0].tolist() == WHITE_LEFT
    with pytest.raises(LoraInputError):
        places("img", 32, small)


@pytest.mark.parametrize(
    ("layer", "length", "width"),
    [
        ("img", 9, None),
        ("img", 4, None),
        ("both", 7, None),
        ("img", 0, (2, 8, 4)),
        ("img", 0, (1, 4, 2, 4)),
    ],
)
def test_other_tokens_are_refused(layer, length, width):
    with pytest.raises(LoraInputError, match="a mask has no place there"):
        places(layer, length, scene(), width)


def pairs(*ranks, out=6, inner=5):
    made = torch.Generator().manual_seed(1)
    return [
        LowRank(
            torch.randn(out, rank, generator=made), torch.randn(rank, inner, generator=made), 1.0
        )
        for rank in ranks
    ]


def branch_of(shape=(5,)):
    return PairBranch({None: pairs(2, 3, inner=shape[0])}, shape, 0, torch.float32, Factor)


@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 3, 4, 5)])
def test_each_token_gets_its_own_strength(shape):
    """Against the sum over parts, token by token, in float64."""
    made = torch.Generator().manual_seed(2)
    x, y = torch.randn(*shape, generator=made), torch.zeros(*shape[:-1], 6)
    tokens = x[0, ..., 0].numel()
    gate, where = torch.randn(2, 3, 5, generator=made), torch.rand(2, tokens, 3, generator=made)
    branch = branch_of()
    found = branch(torch.nn.Linear(5, 6), x, y.clone(), gate, where)
    down = branch.down.weight.double()
    up = torch.cat([own.weight for own in branch.ups], 1).double()
    rows = torch.einsum("blp,bpr->blr", where.double(), gate.double()).view(*shape[:-1], 5)
    exact = (x.double() @ down.T * rows) @ up.T
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


def test_each_cell_of_a_convolution_gets_its_own_strength():
    made = torch.Generator().manual_seed(3)
    layer = torch.nn.Conv2d(5, 6, 3, stride=2, padding=1)
    down, up = torch.randn(2, 5 * 9, generator=made), torch.randn(6, 2, generator=made)
    branch = PairBranch({None: [LowRank(up, down, 1.0)]}, (5, 3, 3), 0, torch.float32, Factor)
    x = torch.randn(1, 5, 8, 6, generator=made)
    gate, where = torch.randn(1, 2, 2, generator=made), torch.rand(1, 12, 2, generator=made)
    found = branch(layer, x, torch.zeros(1, 6, 4, 3), gate, where)
    hidden = torch.nn.functional.conv2d(x, branch.down.weight, stride=2, padding=1)
    rows = (where @ gate)[0].T.view(1, 2, 4, 3)
    exact = torch.einsum("or,brhw->bohw", branch.ups[0].weight, hidden * rows)
    assert torch.allclose(found, exact, atol=1e-5)


@pytest.mark.parametrize("gain", [False, True])
def test_vectors_at_places(gain):
    made = torch.Generator().manual_seed(4)
    layer = torch.nn.LayerNorm(6) if gain else torch.nn.Linear(6, 6)
    vectors = [torch.randn(6, generator=made) for _ in range(2)]
    branch = VectorBranch({None: vectors}, 0, torch.float32, Factor, gain=gain)
    x = torch.randn(1, 4, 6, generator=made)
    gate, where = torch.randn(1, 3, 2, generator=made), torch.rand(1, 4, 3, generator=made)
    found = branch(layer, x, torch.zeros(1, 4, 6), gate, where)
    change = (where @ gate)[0] @ torch.stack(vectors)
    exact = change * torch.nn.functional.layer_norm(x[0], [6]) if gain else change
    assert torch.allclose(found[0], exact, atol=1e-5)


def test_one_place_for_all_is_as_without_places():
    x, y = torch.randn(2, 7, 5), torch.zeros(2, 7, 6)
    gate = torch.randn(2, 1, 5)
    branch: Branch = branch_of()
    layer = torch.nn.Linear(5, 6)
    plain = branch(layer, x, y.clone(), gate[:, 0])
    assert torch.equal(branch(layer, x, y.clone(), gate, torch.ones(1, 1, 1)), plain)
    assert torch.equal(branch(layer, x, y.clone(), gate, torch.ones(1, 7, 1)), plain)
