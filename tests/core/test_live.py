"""A branch beside a layer does what the merged weight would do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lora_core.algebra.file_id import FileId
from lora_core.applying.branches import takes_branch
from lora_core.applying.live import Gate, Stack
from lora_core.errors import LoraInputError
from lora_core.families.delta import Dense, LowRank
from lora_core.families.loha import Hadamard
from lora_core.families.lokr import Kronecker
from lora_core.fusing.fuse import fuse
from lora_core.fusing.merge import merge_
from lora_core.matching.live_term import LiveTerm, can_go_live
from lora_core.matching.match import WeightTerm
from lora_core.naming.targets import Target

FILES = [FileId(name, 1, 1, 1, name) for name in "abc"]
STRENGTHS = [0.7, -0.4, 1.3]


def gate_rows(stack, strengths):
    """The rows of a gate from the strengths of each file."""
    return stack.gate_rows(lambda file, _: strengths[stack.files.index(file)])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def pair(out, into, seed, rank=4):
    return LowRank(drawn(out, rank, seed=seed), drawn(rank, into, seed=seed + 1), 0.25)


LAYERS = {
    "linear": (nn.Linear(12, 8), (2, 5, 12)),
    "linear without tokens": (nn.Linear(12, 8), (2, 12)),
    "linear without bias": (nn.Linear(12, 8, bias=False), (2, 3, 5, 12)),
    "conv1d": (nn.Conv1d(12, 8, 3, stride=2, padding=1), (2, 12, 9)),
    "conv2d": (nn.Conv2d(12, 8, 3, padding=1), (2, 12, 6, 5)),
    "conv2d of 1": (nn.Conv2d(12, 8, 1), (2, 12, 6, 5)),
    "conv2d, spread out": (nn.Conv2d(12, 8, (3, 2), (2, 1), (2, 0), dilation=2), (2, 12, 9, 9)),
    "conv2d, tiled": (nn.Conv2d(12, 8, 3, padding=1, padding_mode="circular"), (2, 12, 6, 5)),
    "conv3d": (nn.Conv3d(12, 8, (1, 3, 3), padding=(0, 1, 1)), (2, 12, 2, 4, 5)),
}


def beside(layer, live_terms, dtype=torch.float64):
    """A layer as a model of its own, with a stack beside it, and the gate."""
    model = nn.ModuleDict({"layer": layer.to(dtype)})
    shapes = {f"layer.{name}": tuple(p.shape) for name, p in layer.named_parameters()}
    stack = Stack({f"layer.{name}": own for name, own in live_terms.items()}, shapes, dtype)
    gate = Gate()
    handles = stack.attach(model.get_submodule, gate)
    return model["layer"], stack, gate, handles


def merged(layer, live_terms, strengths, x):
    """What the layer gives with everything in its parameters."""
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    for name, own in live_terms.items():
        weight_terms = [
            WeightTerm(
                Target("w", rows=live_term.rows),
                live_term.delta,
                strengths[FILES.index(live_term.file)],
                0,
                "",
            )
            for live_term in own
        ]
        merge_(dict(layer.named_parameters())[name].data, fuse(weight_terms, torch.float64))
    y = layer(x)
    for name, p in layer.named_parameters():
        p.data.copy_(before[name])
    return y


@torch.no_grad()
@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_beside_a_layer_is_the_layer_with_the_stack_in_it(name):
    layer, shape = LAYERS[name]
    x, width = drawn(*shape).double(), layer.weight[0].numel()
    live_terms = {
        "weight": [LiveTerm(file, None, pair(8, width, i)) for i, file in enumerate(FILES)]
    }
    if layer.bias is not None:
        live_terms["bias"] = [LiveTerm(FILES[1], None, Dense(drawn(8), "bias"))]
    layer, stack, gate, handles = beside(layer, live_terms)
    expected = merged(layer, live_terms, STRENGTHS, x)
    plain = layer(x)
    gate.rows = gate_rows(stack, [[s] for s in STRENGTHS]).double()
    found = layer(x)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)  # the gate is in float32
    assert not torch.allclose(found, plain)
    gate.rows = None
    assert torch.equal(layer(x), plain)
    for handle in handles:
        handle.remove()
    assert not layer._forward_hooks


@torch.no_grad()
def test_slices_of_a_fused_weight_share_one_branch():
    q, k, v = (0, 4), (4, 4), (8, 4)
    layer = nn.Linear(12, 12)
    live_terms = {
        "weight": [
            LiveTerm(FILES[0], q, pair(4, 12, 1)),
            LiveTerm(FILES[0], v, pair(4, 12, 2)),
            LiveTerm(FILES[1], None, pair(12, 12, 3)),
            LiveTerm(FILES[2], q, pair(4, 12, 4, rank=2)),
            LiveTerm(FILES[1], k, pair(4, 12, 5)),
        ],
        "bias": [
            LiveTerm(FILES[0], k, Dense(drawn(4), "bias")),
            LiveTerm(FILES[1], None, Dense(drawn(12))),
        ],
    }
    layer, stack, gate, _ = beside(layer, live_terms)
    x = drawn(2, 5, 12).double()
    expected = merged(layer, live_terms, STRENGTHS, x)
    gate.rows = gate_rows(stack, [[s] for s in STRENGTHS])
    torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-6)
    assert stack.rank == 4 + 4 + 4 + 2 + 4 + 2


@torch.no_grad()
@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.LayerNorm(12), (2, 5, 12)),
        (nn.GroupNorm(3, 12), (2, 12, 4, 4)),
        (nn.RMSNorm(12, eps=1e-6), (2, 5, 12)),
    ],
    ids=["LayerNorm", "GroupNorm", "RMSNorm"],
)
def test_norms_have_branches_too(norm, shape):
    live_terms = {
        name: [LiveTerm(FILES[i], None, Dense(drawn(12, seed=i))) for i in (0, 2)]
        for name, _ in norm.named_parameters()
    }
    norm, stack, gate, _ = beside(norm, live_terms)
    x = drawn(*shape).double()
    strengths = [STRENGTHS[FILES.index(file)] for file in stack.files]
    expected = merged(norm, live_terms, STRENGTHS, x)
    gate.rows = gate_rows(stack, [[s] for s in strengths])
    torch.testing.assert_close(norm(x), expected, atol=1e-6, rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", ["linear", "linear without tokens", "conv2d", "conv3d"])
@pytest.mark.parametrize("chunks", [1, 2])
def test_every_image_has_its_row_of_the_gate(name, chunks):
    layer, shape = LAYERS[name]
    live_terms = {"weight": [LiveTerm(FILES[0], None, pair(8, layer.weight[0].numel(), 0))]}
    live_terms["bias"] = [LiveTerm(FILES[0], None, Dense(drawn(8)))]
    layer, stack, gate, _ = beside(layer, live_terms)
    x = drawn(3 * chunks, *shape[1:]).double()
    values = [0.0, 0.5, -2.0]
    gate.rows = gate_rows(stack, [values]).repeat(chunks, 1)
    found = layer(x)
    for i, value in enumerate(values * chunks):
        gate.rows = gate_rows(stack, [[value]])
        torch.testing.assert_close(found[i : i + 1], layer(x[i : i + 1]))


@torch.no_grad()
def test_frames_that_are_folded_into_the_batch_follow_their_image():
    layer, stack, gate, _ = beside(
        nn.Linear(12, 8), {"weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))]}
    )
    x = drawn(2 * 5, 3, 12).double()
    gate.rows = gate_rows(stack, [[0.0, 1.0]])
    found = layer(x)
    gate.rows = gate_rows(stack, [[1.0]])
    torch.testing.assert_close(found[5:], layer(x)[5:])
    gate.rows = None
    assert torch.equal(found[:5], layer(x)[:5])


@torch.no_grad()
def test_a_layer_that_all_images_share_is_refused_with_both_numbers():
    layer, stack, gate, _ = beside(
        nn.Linear(12, 8), {"weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))]}
    )
    gate.rows = gate_rows(stack, [[0.0, 0.5, 1.0]])
    with pytest.raises(LoraInputError) as refused:
        layer(drawn(1, 7, 12).double())
    assert (refused.value.expected, refused.value.found) == ("a multiple of 3 inputs", "1")


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_branch_adds_no_more_than_the_roundings_of_its_type(dtype):
    layer, stack, gate, _ = beside(
        nn.Linear(256, 128),
        {"weight": [LiveTerm(f, None, pair(128, 256, i)) for i, f in enumerate(FILES)]},
        dtype,
    )
    x = drawn(2, 5, 256).to(dtype)
    plain = layer(x)
    gate.rows = gate_rows(stack, [[0.01 * s] for s in STRENGTHS])
    change = sum(
        0.01
        * s
        * 0.25
        * (x.double() @ pair(128, 256, i).down.to(dtype).double().T)
        @ pair(128, 256, i).up.to(dtype).double().T
        for i, s in enumerate(STRENGTHS)
    )
    error = (layer(x).double() - plain.double() - change).abs().max() / plain.abs().max()
    several = 8 if dtype == torch.float32 else 2  # there the products are rounded, too
    assert error < several * torch.finfo(dtype).eps


@torch.no_grad()
def test_products_are_branches_as_exact_pairs():
    loha = Hadamard((drawn(8, 3), drawn(8, 2)), (drawn(3, 12), drawn(2, 12)), 0.5)
    lokr = Kronecker((drawn(2, 3),), (drawn(4, 2), drawn(2, 4)), 0.5)
    for delta, rank in ((loha, 6), (lokr, 6)):
        live_terms = {"weight": [LiveTerm(FILES[0], None, delta)]}
        layer, stack, gate, _ = beside(nn.Linear(12, 8), live_terms)
        assert stack.rank == rank == delta.pair_rank
        x = drawn(2, 12).double()
        gate.rows = gate_rows(stack, [[0.7]])
        torch.testing.assert_close(
            layer(x), merged(layer_without(layer), live_terms, [0.7], x), atol=1e-5, rtol=1e-5
        )


def layer_without(layer):
    plain = nn.Linear(12, 8).double()
    plain.load_state_dict(layer.state_dict())
    return plain


def test_what_cannot_go_live():
    full = Kronecker((drawn(2, 3),), (drawn(4, 4),), 0.5)
    large = Hadamard((drawn(8, 30), drawn(8, 30)), (drawn(30, 12), drawn(30, 12)), 0.5)
    assert not can_go_live(full, (8, 12))
    assert not can_go_live(large, (8, 12))
    assert not can_go_live(Dense(drawn(8, 12)), (8, 12))
    assert can_go_live(Dense(drawn(8)), (8,))


@pytest.mark.parametrize(
    ("layer", "name", "shape", "takes"),
    [
        (nn.Linear(12, 8), "weight", (8, 12), True),
        (nn.Linear(12, 8), "weight", (8, 24), False),  # as a control LoRA has widened it
        (nn.Linear(12, 8), "bias", (8,), True),
        (nn.Conv2d(12, 8, 3), "weight", (8, 12, 3, 3), True),
        (nn.Conv2d(12, 12, 3, groups=12), "weight", (12, 1, 3, 3), False),
        (nn.ConvTranspose2d(12, 8, 3), "weight", (12, 8, 3, 3), False),
        (nn.Embedding(12, 8), "weight", (12, 8), False),
        (nn.LayerNorm(12), "weight", (12,), True),
        (nn.LayerNorm((3, 4)), "weight", (3, 4), False),
        (nn.BatchNorm2d(12), "weight", (12,), False),
        (nn.MultiheadAttention(8, 2).out_proj, "weight", (8, 8), False),  # never called
    ],
)
def test_which_layers_take_a_branch(layer, name, shape, takes):
    assert takes_branch(layer, name, shape) is takes


@torch.no_grad()
def test_channels_last_stays_channels_last():
    live_terms = {"weight": [LiveTerm(FILES[0], None, pair(8, 108, 0))]}
    layer, stack, gate, _ = beside(nn.Conv2d(12, 8, 3, padding=1), live_terms, torch.float32)
    layer.to(memory_format=torch.channels_last)
    x = drawn(2, 12, 6, 5).to(memory_format=torch.channels_last)
    gate.rows = gate_rows(stack, [[1.0]])
    y = layer(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, layer(x.contiguous()), atol=1e-4, rtol=1e-4)


def test_gradients_still_flow_to_the_input():
    layer, stack, gate, _ = beside(
        nn.Linear(12, 8), {"weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))]}
    )
    x = drawn(2, 12).double().requires_grad_()
    gate.rows = gate_rows(stack, [[1.0]])
    layer(x).sum().backward()
    weight = layer.weight + 0.25 * pair(8, 12, 0).up.double() @ pair(8, 12, 0).down.double()
    torch.testing.assert_close(x.grad, weight.sum(0).expand(2, -1))


@torch.no_grad()
def test_vectors_that_a_model_has_doubled_are_refused():
    """Qwen-Image does that to its timestep: which of them belongs to which image cannot be told."""
    live_terms = {"weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))]}
    layer, stack, gate, _ = beside(nn.Linear(12, 8), live_terms)
    gate.rows = gate_rows(stack, [[0.0, 1.0]])
    with pytest.raises(LoraInputError, match="4 inputs for 2 images"):
        layer(drawn(4, 12).double())


@torch.no_grad()
@pytest.mark.parametrize("power", [1e7, 1e-7])
def test_factors_of_very_different_size_fit_into_half_precision(power):
    plain = pair(8, 12, 0)
    skewed = LowRank(plain.up * power, plain.down / power, plain.scale)
    outputs = []
    for delta in (plain, skewed):
        live_terms = {"weight": [LiveTerm(FILES[0], None, delta)]}
        layer, stack, gate, _ = beside(nn.Linear(12, 8), live_terms, torch.float16)
        layer.weight.zero_()
        layer.bias.zero_()
        gate.rows = gate_rows(stack, [[1.0]])
        outputs.append(layer(drawn(2, 12).half()))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=5e-3, atol=5e-3)


def test_a_layer_that_is_not_there_leaves_no_branch_at_the_others():
    model = nn.ModuleDict({"layer": nn.Linear(12, 8)})
    live_terms = {
        f"{name}.weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))] for name in ("layer", "gone")
    }
    stack = Stack(live_terms, dict.fromkeys(live_terms, (8, 12)), torch.float32)
    with pytest.raises(AttributeError):
        stack.attach(model.get_submodule, Gate())
    assert not model["layer"]._forward_hooks


class Interrupted(nn.Linear):
    def register_forward_hook(self, *_args, **_kwargs):
        raise KeyboardInterrupt


def test_an_interrupt_on_the_way_leaves_no_branch_at_those_before():
    model = nn.ModuleDict({"layer": nn.Linear(12, 8), "later": Interrupted(12, 8)})
    live_terms = {f"{name}.weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))] for name in model}
    stack = Stack(live_terms, dict.fromkeys(live_terms, (8, 12)), torch.float32)
    with pytest.raises(KeyboardInterrupt):
        stack.attach(model.get_submodule, Gate())
    assert not model["layer"]._forward_hooks


@torch.no_grad()
def test_a_twin_has_factors_of_its_own_and_none_of_a_hosts_notes():
    live_terms = {"layer.weight": [LiveTerm(FILES[0], None, pair(8, 12, 0))]}
    stack = Stack(live_terms, {"layer.weight": (8, 12)}, torch.float32)
    stack.device = stack.branches[0].down._v = "a note"
    twin = stack.twin()
    assert not hasattr(twin, "device")
    assert not hasattr(twin.branches[0].down, "_v")
    assert torch.equal(gate_rows(twin, [[1.0]]), gate_rows(stack, [[1.0]]))
    assert torch.equal(twin.branches[0].down.weight, stack.branches[0].down.weight)
    stack.branches[0].down.weight.zero_()
    assert twin.branches[0].down.weight.abs().sum() > 0


@torch.no_grad()
@pytest.mark.parametrize("scale", [2e-10, 1e-3, 0.3, 64.0, 3e9])
@pytest.mark.parametrize("size", [1e-4, 1.0])
def test_half_precision_holds_every_number_of_a_branch_whose_product_it_holds(scale, size):
    """Scales and factors far from each other: neither side, nor what is between them, leaves float16."""
    ordinary = pair(8, 12, 3)
    factors = (size * ordinary.up / max(scale, 1.0), ordinary.down / size)
    live_terms = {"weight": [LiveTerm(FILES[0], None, LowRank(*factors, scale))]}
    layer, stack, gate, _ = beside(nn.Linear(12, 8), live_terms, torch.float16)
    x = drawn(2, 5, 12).half()
    plain = layer(x)
    gate.rows = gate_rows(stack, [[1.0]])
    found = layer(x)
    change = scale * x.double() @ (factors[0].double() @ factors[1].double()).T
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), plain.double() + change, rtol=4e-3, atol=2e-2)
