"""Attention layers that diffusers has joined, as SimpleTuner trains them: q over k over v."""

from __future__ import annotations

import pytest
import torch

from harness.oracles.fill import fill
from harness.oracles.lycoris_cases import SPREAD, network_of
from harness.samples import pair, tensors, write
from lora_core import LoraMismatchError, apply, load
from lora_core.families.lokr import Kronecker
from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Target
from tools.fidelity import diffusers_models
from tools.fidelity.layouts import layouts

pytest.importorskip("diffusers")
pytest.importorskip("lycoris")

JOINED = "attn.to_qkv"

ALGORITHMS = {
    "LoRA": ("lora", 2, {}),
    "DoRA": ("lora", 2, {"weight_decompose": True}),
    "LoKr, whole": ("lokr", 10000, {}),
    "LoKr, whole, k in half a block": ("lokr", 10000, {"factor": 2}),
    "LoKr, factors": ("lokr", 2, {"factor": 2}),
    "LoKr with DoRA": ("lokr", 10000, {"factor": 2, "weight_decompose": True}),
    "LoHa": ("loha", 2, {}),
}


def joined_model() -> torch.nn.Module:
    """Krea 2 by diffusers with its projections joined, which k and v make uneven."""
    torch.manual_seed(0)
    model = diffusers_models.build("krea2").double()
    model.fuse_qkv_projections()
    return model


def in_host(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The same weights by the names of the host."""
    shapes = layouts()["krea2"].shapes
    names = ModelNames(shapes)
    weights = {key: torch.zeros(shape, dtype=torch.float64) for key, shape in shapes.items()}
    for key, value in model.state_dict().items():
        target = names.find(f"transformer.{key.removesuffix('.weight')}")
        if key.endswith(".weight") and JOINED not in key and target is not None:
            weights[target.key] = value.clone()
    return weights


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("strength", [1.0, 0.5, -1.0])
def test_simple_tuners_krea_is_what_lycoris_makes_of_it(algorithm, strength, tmp_path):
    algo, dim, options = ALGORITHMS[algorithm]
    model = joined_model()
    weights = in_host(model)
    before = {key: value.clone() for key, value in weights.items()}
    for attention in [m for m in model.modules() if hasattr(m, "to_qkv")]:
        del attention.to_q, attention.to_k, attention.to_v
    plain = {n: m.weight.clone() for n, m in model.named_modules() if n.endswith(JOINED)}
    network = network_of(model, algo, dim, 3.0, **options)
    network.loras = [lora for lora in network.loras if lora.lora_name.endswith("attn_to_qkv")]
    assert len(network.loras) == len(plain) == 6
    for seed, lora in enumerate(network.loras):
        fill(lora.double().named_parameters(), seed, SPREAD)
    network.apply_to()
    file = tmp_path / "joined.safetensors"
    save(network, file)
    report = apply(weights, strength * load(file))
    assert report.loras[0].parts[0].applied == 6 and not report.loras[0].unknown
    names = ModelNames(layouts()["krea2"].shapes)
    for name, weight in plain.items():
        layer = model.get_submodule(name)
        wanted = layer(torch.eye(weight.shape[1], dtype=weight.dtype)).T.detach() - weight
        pieces = [names.find(f"{name.removesuffix(JOINED)}attn.to_{part}").key for part in "qkv"]
        found = torch.cat([weights[key] - before[key] for key in pieces])
        assert (found - strength * wanted).norm() <= 1e-6 * wanted.norm()


def save(network, file):
    """LyCORIS' own file, of the layers that are left in it."""
    tensors = {
        f"{lora.lora_name}.{role}": value
        for lora in network.loras
        for role, value in lora.custom_state_dict().items()
    }
    write(file, tensors)


@pytest.mark.parametrize("prefix", ["lycoris_", "transformer.", "diffusion_model.", "lora_unet_"])
def test_under_every_prefix(prefix):
    path = "transformer_blocks.0.attn.to_qkv"
    name = prefix + (path.replace(".", "_") if prefix.endswith("_") else path)
    found = ModelNames(layouts()["krea2"].shapes).find(name)
    root = "diffusion_model.blocks.0.attn."
    assert [(p.key, p.source) for p in found.pieces()] == [
        (f"{root}wq.weight", (0, 64)),
        (f"{root}wk.weight", (64, 32)),
        (f"{root}wv.weight", (96, 32)),
    ]


@pytest.mark.parametrize(
    ("model", "path", "key", "rows"),
    [
        # all of a weight that the host has joined itself, or some of its rows
        ("flux", "transformer_blocks.0.attn.to_qkv", "double_blocks.0.img_attn.qkv", None),
        ("flux", "single_transformer_blocks.0.attn.to_qkv", "single_blocks.0.linear1", (0, 96)),
        ("ideogram4", "layers.0.attention.to_qkv", "layers.0.attention.qkv", None),
    ],
)
def test_what_is_joined_in_the_host_too_is_one_piece(model, path, key, rows):
    layout = layouts()[model]
    found = ModelNames(layout.shapes).find(f"transformer.{path}")
    assert found == Target(f"diffusion_model.{key}.weight", rows=rows)


@pytest.mark.parametrize("model", layouts())
def test_a_joined_layer_holds_what_its_parts_hold(model):
    """Whatever the attention is called, and in whatever the host keeps its layers."""
    layout = layouts()[model]
    names = ModelNames(layout.shapes)
    for path in layout.diffusers:
        if not path.endswith(".to_k"):
            continue
        attention = path.removesuffix("to_k")
        parts = [names.find(attention + part) for part in ("to_q", "to_k", "to_v")]
        joined = names.find(f"{attention}to_qkv")
        if None in parts:
            assert joined is None
            continue
        pieces = [*joined.pieces()]
        height = sum(p.rows[1] if p.rows else layout.shapes[p.key][0] for p in pieces)
        wanted = sum(p.rows[1] if p.rows else layout.shapes[p.key][0] for p in parts)
        assert height == wanted, path
        assert {p.key for p in pieces} == {p.key for p in parts}


def test_magnitudes_of_inputs_look_at_all_of_it(tmp_path):
    name = "transformer.transformer_blocks.0.attn.to_qkv"
    content = {**pair(name, 128, 64), f"{name}.dora_scale": torch.ones(1, 64)}
    weights = {k: torch.zeros(s) for k, s in layouts()["krea2"].shapes.items()}
    with pytest.raises(LoraMismatchError, match="is split between") as refused:
        apply(weights, load(write(tmp_path / "inputs.safetensors", content)))
    assert refused.value.key == name


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("scrambled", [False, True])
def test_any_rows_of_a_kronecker_product_by_themselves(factored, scrambled):
    made = tensors(3, first=(3, 2), second=(4, 5), up=(4, 2), down=(2, 5))
    second = (made["up"], made["down"]) if factored else (made["second"],)
    whole = Kronecker((made["first"],), second, 0.5, (1,) if scrambled else (), scrambled)
    entries = dense(whole)
    for start in range(12):
        for stop in range(start + 1, 13):
            cut = whole.cut(slice(start, stop))
            assert torch.equal(dense(cut), entries[start:stop])
            largest = entries[start:stop].abs().max().nextafter(torch.tensor(0.0))  # it is rounded
            assert cut.fits((stop - start, 10)) and cut.max_abs() >= largest
            assert torch.equal(dense(cut.cut(slice(0, 1))), entries[start : start + 1])


def dense(delta: Kronecker) -> torch.Tensor:
    from lora_core.families.base_weight import BaseWeight
    from lora_core.families.delta import LowRank

    (term,) = delta.resolve_on(BaseWeight(torch.zeros(delta.size)))
    return term.up @ term.down * term.scale if isinstance(term, LowRank) else term.diff
