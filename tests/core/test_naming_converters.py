"""The tables of image models against diffusers' own converters, on weights whose rows are numbered."""

from collections.abc import Callable, Iterator, Mapping

import pytest
import torch

from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Shape, Target
from tools.fidelity.layouts import layouts

pytestmark = pytest.mark.thorough

single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
lora = pytest.importorskip("diffusers.loaders.lora_conversion_utils")

Weights = dict[str, torch.Tensor]
Shapes = Mapping[str, Shape]

ROWS = 1 << 20  # more than any weight here has


def numbered(shapes: Shapes) -> Weights:
    """Every row holds its own number; no row of any weight has that of another. No memory."""
    return {
        key: (torch.arange(shape[0]) + index * ROWS)[(..., *[None] * (len(shape) - 1))].expand(
            shape
        )
        for index, (key, shape) in enumerate(shapes.items())
    }


def model(name: str, factor: int = 1) -> dict[str, Shape]:
    """A model as its makers save it, all its sizes multiplied."""
    return {
        key.removeprefix("diffusion_model."): tuple(factor * size for size in shape)
        for key, shape in layouts()[name].shapes.items()
    }


def scales(shapes: Shapes) -> dict[str, Shape]:
    """With the norms called as Black Forest Labs do."""
    return {
        key.replace(".weight", ".scale") if "y_norm." in key or ".norms." in key else key: shape
        for key, shape in shapes.items()
    }


def lumina() -> dict[str, Shape]:
    """With the one number of heads that diffusers knows."""
    fused = "attention.qkv.weight"
    shapes = {k: (3840, 2304) if k.endswith(fused) else s for k, s in model("lumina2").items()}
    return {k: (2304, 2304) if k.endswith("attention.out.weight") else s for k, s in shapes.items()}


UNETS = {
    "sd15": {"layers_per_block": 2, "class_embed_type": None, "addition_embed_type": None},
    "sdxl": {
        "layers_per_block": 2,
        "class_embed_type": None,
        "addition_embed_type": "text_time",
    },
}

CASES: dict[str, tuple[Callable[[], dict[str, Shape]], str]] = {
    "flux": (lambda: scales(model("flux", 96)), "flux_transformer_checkpoint"),
    "chroma": (lambda: scales(model("chroma", 96)), "chroma_transformer_checkpoint"),
    "flux2": (lambda: scales(model("flux2")), "flux2_transformer_checkpoint"),
    "sd3": (lambda: model("sd3"), "sd3_transformer_checkpoint"),
    "sd35m": (lambda: model("sd35m"), "sd3_transformer_checkpoint"),
    "auraflow": (lambda: model("auraflow"), "auraflow_transformer_checkpoint"),
    "lumina2": (lumina, "lumina2"),
    "z_image": (lambda: model("z_image"), "z_image_transformer_checkpoint"),
    "krea2": (lambda: model("krea2"), "krea2_transformer_checkpoint"),
    "hidream": (lambda: model("hidream"), "hidream_transformer"),
    "ernie": (lambda: model("ernie"), "ernie_image_transformer_checkpoint"),
}

# Krea's modulations have another shape in diffusers, a padding is not a layer, and the norm of
# Lumina that is not used is thrown away.
LEFT_OUT = (".scale_shift_table", "_pad_token", "register_tokens")


@pytest.mark.parametrize("name", CASES)
def test_a_model_converted_by_diffusers(name: str):
    shapes, converter = CASES[name]
    native = shapes()
    convert = getattr(single_file, f"convert_{converter}_to_diffusers")
    converted = convert(dict(numbered(native)))
    checked = list(compared(converted, native))
    assert len(checked) > 10
    assert not [difference for difference in checked if difference]


@pytest.mark.parametrize("name", UNETS)
def test_a_unet_converted_by_diffusers(name: str):
    native = model(name)
    checkpoint = {f"model.diffusion_model.{k}": v for k, v in numbered(native).items()}
    config = UNETS[name] | {"down_block_types": [None] * levels(native)}
    config["up_block_types"] = config["down_block_types"]
    converted = single_file.convert_ldm_unet_checkpoint(checkpoint, config)
    checked = list(compared(converted, native))
    assert len(checked) > 100
    assert not [difference for difference in checked if difference]


def levels(unet: Shapes) -> int:
    return 1 + sum(key.endswith(".op.weight") for key in unet)


@pytest.mark.parametrize("name", ["stable_cascade_c", "stable_cascade_b"])
def test_a_stage_of_cascade_converted_by_diffusers(name: str):
    native = dict(as_stability_saves(model(name)))
    converted = single_file.convert_stable_cascade_unet_single_file_to_diffusers(numbered(native))
    checked = list(compared(converted, native))
    assert sum("to_k" in key for key in converted) > 1
    assert not [difference for difference in checked if difference]


def as_stability_saves(shapes: Shapes) -> Iterator[tuple[str, Shape]]:
    """q, k and v fused, which the host takes apart."""
    for key, shape in shapes.items():
        path, to_q, ending = key.rpartition("to_q.")
        if to_q:
            yield f"{path}in_proj_{ending}", (3 * shape[0], *shape[1:])
        elif "attn.to_" not in key:
            yield key, shape


def compared(converted: Weights, native: Shapes) -> Iterator[str]:
    """What is wrong with the target of every converted weight, "" where nothing is."""
    names = ModelNames(native)
    weights = numbered(native)
    for key, value in converted.items():
        if value is None or key.endswith(LEFT_OUT):
            continue
        path, _, ending = key.rpartition(".")
        target = names.find(path if ending in ("weight", "bias", "scale") else key)
        if target is None:
            yield f"{key}: not found"
            continue
        meant = rows_of(weights, target.bias() if ending == "bias" else target)
        same = meant.shape == value.shape and torch.equal(column(meant), column(value))
        yield "" if same else f"{key}: not {target}"


def rows_of(weights: Weights, target: Target) -> torch.Tensor:
    whole = weights[target.key]
    rows = whole if target.rows is None else whole.narrow(0, *target.rows)
    return torch.cat(rows.chunk(2)[::-1]) if target.halves_swapped else rows


def column(weight: torch.Tensor) -> torch.Tensor:
    return weight.flatten(1)[:, 0] if weight.dim() > 1 else weight


# --- LoRA files -----------------------------------------------------------------------------------

DOTTED = ("diffusion_model.{}", "lora_A", "lora_B")
KOHYA = ("lora_unet_{}", "lora_down", "lora_up")

LORAS = {
    # (model, how much larger than the small one, spelling, layers that the converter cannot read)
    "kohya_flux": ("flux", 96, KOHYA, ()),
    "non_diffusers_flux2": ("flux2", 1, DOTTED, ("adaLN_modulation.1",)),
    "kohya_flux2": ("flux2", 1, KOHYA, ("modulation", "adaLN_modulation.1", "guidance_in")),
    "non_diffusers_lumina2": ("lumina2", 1, DOTTED, ("embedder", "final_layer")),
    "non_diffusers_z_image": ("z_image", 1, DOTTED, ("embedder", "final_layer", "attention.out")),
    "non_diffusers_ideogram4": ("ideogram4", 1, DOTTED, ("embed", "proj", "final_layer")),
    "non_diffusers_krea2": ("krea2", 1, DOTTED, ()),
    "non_diffusers_anima": ("anima", 1, DOTTED, ()),
    "non_diffusers_qwen": ("qwen_image", 1, DOTTED, ()),
    "non_diffusers_hidream": ("hidream", 1, DOTTED, ()),
}

XLABS = {
    "double_blocks.{}.processor.qkv_lora1": "img_attn.qkv",
    "double_blocks.{}.processor.proj_lora1": "img_attn.proj",
    "double_blocks.{}.processor.qkv_lora2": "txt_attn.qkv",
    "double_blocks.{}.processor.proj_lora2": "txt_attn.proj",
    "single_blocks.{}.processor.qkv_lora": "linear1",
    "single_blocks.{}.processor.proj_lora": "linear2",
}


@pytest.mark.parametrize("converter", LORAS)
def test_a_lora_converted_by_diffusers(converter: str):
    name, factor, spelling, unread = LORAS[converter]
    native = lumina() if name == "lumina2" else model(name, factor)
    layers = [
        layer.removeprefix("diffusion_model.")
        for layer in layouts()[name].layers
        if not any(part in layer for part in unread)
    ]
    file = lora_file(native, {layer: layer for layer in layers}, spelling)
    check_lora(getattr(lora, f"_convert_{converter}_lora_to_diffusers")(file), native, layers)


@pytest.mark.parametrize("stacks", [("double_blocks.",), ("double_blocks.", "single_blocks.")])
def test_an_xlabs_lora_converted_by_diffusers(stacks: tuple[str, ...]):
    native = model("flux")
    named = {
        name.format(block): f"{name.partition('.')[0]}.{block}.{layer}"
        for block in (0, 1)
        for name, layer in XLABS.items()
        if name.startswith(stacks)
    }
    heights = {f"single_blocks.{block}.linear1": 3 * 32 for block in (0, 1)}
    file = lora_file(native, named, ("{}", "down", "up"), heights)
    names = ModelNames(native)
    for name, layer in named.items():
        rows = (0, heights[layer]) if layer in heights else None
        assert names.find(name) == Target(f"{layer}.weight", rows=rows)
    converted = lora._convert_xlabs_flux_lora_to_diffusers(file)
    check_lora(converted, native, list(named.values()))


def lora_file(
    native: Shapes,
    named: Mapping[str, str],
    spelling: tuple[str, str, str],
    heights: Mapping[str, int] | None = None,
) -> Weights:
    """A LoRA of rank 1: its ups number their rows, its downs say the layer."""
    prefix, down, up = spelling
    file: Weights = {}
    for index, (name, layer) in enumerate(named.items()):
        height, width = native[f"{layer}.weight"][0], native[f"{layer}.weight"][1:]
        path = prefix.format(name.replace(".", "_") if prefix.endswith("_{}") else name)
        file[f"{path}.{down}.weight"] = torch.full((1, *width), float(index))
        rows = torch.arange(float((heights or {}).get(layer, height)))
        file[f"{path}.{up}.weight"] = rows.view(-1, 1, *(1 for _ in width[1:]))
    return file


def check_lora(converted: Weights, native: Shapes, layers: list[str]) -> None:
    """Every layer of the converted file means the rows of the layer that it was made of."""
    names = ModelNames(native)
    seen: set[str] = set()
    for key, up in converted.items():
        path, is_up, _ = key.partition(".lora_B.weight")
        if not is_up:
            continue
        layer = layers[int(converted[f"{path}.lora_A.weight"].flatten()[0])]
        target = names.find(path)
        assert target is not None, path
        assert target.key == f"{layer}.weight", path
        rows = torch.arange(float(native[target.key][0]))
        assert torch.equal(rows_of({target.key: rows}, target), up.flatten()), path
        seen.add(layer)
    assert seen == set(layers)
