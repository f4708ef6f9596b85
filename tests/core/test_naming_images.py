"""Names of image models: every layer under every prefix, in agreement with the host's key map."""

import pytest

from lora_core.naming.model_names import ModelNames
from lora_core.naming.targets import Shape, Target
from tools.fidelity.layouts import Layout, layouts, text_layouts

ARCHITECTURES = {
    "sd15": "SD 1.5",
    "sd20": "SD 2",
    "sdxl": "SDXL",
    "sdxl_refiner": None,
    "stable_cascade_c": "Stable Cascade",
    "stable_cascade_b": "Stable Cascade",
    "sd3": "SD3",
    "sd35m": "SD3",
    "flux": "Flux",
    "longcat_image": "LongCat-Image",
    "ovis_image": "Ovis-Image",
    "flux2": "Flux.2",
    "chroma": "Chroma",
    "chroma_radiance": "Chroma Radiance",
    "auraflow": "AuraFlow",
    "pixart_alpha": "PixArt",
    "pixart_sigma": "PixArt",
    "hunyuan_dit": "HunyuanDiT",
    "hunyuan_image21": "HunyuanImage 2.1",
    "lumina2": "Lumina",
    "z_image": "Z-Image",
    "hidream": "HiDream",
    "qwen_image": "Qwen-Image",
    "mage_flow": "Mage-Flow",
    "krea2": "Krea 2",
    "ideogram4": "Ideogram 4",
    "ernie": "ERNIE-Image",
    "anima": "Anima",
    "omnigen2": "OmniGen2",
    "boogu": "Boogu",
    "lens": "Lens",
    "joyimage": "JoyImage",
}

DOTTED = (
    *("", "transformer.", "unet.", "diffusion_model.", "model.diffusion_model.", "prior."),
    *("base_model.model.", "unet.base_model.model.", "transformer.base_model.model."),
)

UNDERSCORED = (
    *("lora_unet_", "lora_transformer_", "lycoris_", "lora_prior_unet_", "oft_unet_"),
    "lora_unet__",
)

# What the host's map has wrong: it takes the MLP for four times as high as the model is wide, and
# the heads of k and v for as many as those of q.
HOST_ERRORS = {
    "flux2": ("proj_mlp",),
    "ovis_image": ("proj_mlp",),
    "lumina2": ("attention.to_q", "attention.to_k", "attention.to_v"),
}

image_models = pytest.mark.parametrize("name", ARCHITECTURES)
text_encoders = pytest.mark.parametrize("name", text_layouts())


def native_paths(layout: Layout) -> list[str]:
    return [
        key.removeprefix("diffusion_model.").removesuffix(".weight")
        for key in layout.shapes
        if key.endswith(".weight")
    ]


def diffusers_paths(layout: Layout) -> list[str]:
    return list(layout.diffusers)


def spellings(path: str) -> list[str]:
    underscored = path.replace(".", "_")
    return [p + path for p in DOTTED] + [p + underscored for p in UNDERSCORED]


@image_models
def test_the_architecture_is_recognised(name: str):
    assert ModelNames(layouts()[name].shapes).architecture == ARCHITECTURES[name]


@image_models
def test_every_layer_is_found_under_every_prefix(name: str):
    layout = layouts()[name]
    names = ModelNames(layout.shapes)
    for path in (*native_paths(layout), *diffusers_paths(layout)):
        meant = names.find(path)
        assert meant is not None, path
        different = [text for text in spellings(path) if names.find(text) != meant]
        assert not different


@image_models
def test_a_native_name_means_all_of_its_weight(name: str):
    layout = layouts()[name]
    names = ModelNames(layout.shapes)
    for path in native_paths(layout):
        assert names.find(path) == Target(f"diffusion_model.{path}.weight")


@image_models
def test_the_rows_of_a_layer_are_as_many_as_it_has_in_diffusers(name: str):
    layout = layouts()[name]
    names = ModelNames(layout.shapes)
    for path in diffusers_paths(layout):
        if not path.startswith("t_embedder."):  # as wide as somebody thought fit
            target = names.find(path)
            assert target is not None
            assert shape_of(target, layout) == layout.diffusers[path], path


def shape_of(target: Target, layout: Layout) -> Shape:
    whole, *rest = layout.shapes[target.key]
    return (sum(p.rows[1] if p.rows else whole for p in target.pieces()), *rest)


@image_models
def test_the_layers_of_diffusers_share_a_weight_without_overlap(name: str):
    layout = layouts()[name]
    names = ModelNames(layout.shapes)
    slices: dict[str, list[tuple[int, int]]] = {}
    for path in diffusers_paths(layout):
        target = names.find(path)
        assert target is not None
        rows = target.rows or (0, layout.shapes[target.key][0])
        slices.setdefault(target.key, []).append(rows)
    for key, rows in slices.items():
        ends = [0, *(start + length for start, length in sorted(rows))]
        assert [start for start, _ in sorted(rows)] == ends[:-1], key
        assert ends[-1] == layout.shapes[key][0], key


@image_models
def test_the_host_agrees(name: str):
    layout = layouts()[name]
    names = ModelNames(layout.shapes)
    errors = HOST_ERRORS.get(name, ())
    different = {
        text: (weight, names.find(text))
        for text, weight in layout.names.items()
        if weight[0] in layout.shapes
        and names.find(text) != Target(weight[0], "model", *weight[1:])
    }
    for text in list(different):
        if any(text.endswith((error, error.replace(".", "_"))) for error in errors):
            assert names.find(text) is not None
            del different[text]
    assert not different


@text_encoders
def test_the_host_agrees_about_text_encoders(name: str):
    layout = text_layouts()[name]
    names = ModelNames(layout.shapes)
    different = {
        text: (weight, names.find(text))
        for text, weight in layout.names.items()
        if names.find(text) != Target(weight[0], "clip", *weight[1:])
    }
    assert not different


# --- dialects -------------------------------------------------------------------------------------


def found(architecture: str, name: str) -> Target | None:
    return ModelNames(layouts()[architecture].shapes).find(name)


def weight(path: str, rows: tuple[int, int] | None = None, *, swapped: bool = False) -> Target:
    return Target(f"diffusion_model.{path}.weight", rows=rows, halves_swapped=swapped)


@pytest.mark.parametrize("prefix", ["", "diffusion_model."])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("double_blocks.1.processor.qkv_lora1", weight("double_blocks.1.img_attn.qkv")),
        ("double_blocks.1.processor.proj_lora1", weight("double_blocks.1.img_attn.proj")),
        ("double_blocks.1.processor.qkv_lora2", weight("double_blocks.1.txt_attn.qkv")),
        ("double_blocks.1.processor.proj_lora2", weight("double_blocks.1.txt_attn.proj")),
        ("single_blocks.1.processor.qkv_lora", weight("single_blocks.1.linear1", (0, 96))),
        ("single_blocks.1.processor.proj_lora", weight("single_blocks.1.linear2")),
        # the spelling "_lora.up.weight" leaves these
        ("single_blocks.1.processor.qkv", weight("single_blocks.1.linear1", (0, 96))),
        ("single_blocks.1.processor.proj", weight("single_blocks.1.linear2")),
    ],
)
def test_xlabs(prefix: str, name: str, expected: Target):
    assert found("flux", prefix + name) == expected


@pytest.mark.parametrize(
    ("architecture", "name", "expected"),
    [
        # ComfyUI's own name of what it makes of XLabs' files
        ("flux", "single_blocks.0.linear1_qkv", weight("single_blocks.0.linear1", (0, 96))),
        ("flux2", "transformer_blocks.0.attn.to_qkv", weight("double_blocks.0.img_attn.qkv")),
        ("flux2", "transformer_blocks.0.attn.to_added_qkv", weight("double_blocks.0.txt_attn.qkv")),
        ("flux2", "sformer_blocks.0.ff.linear_in", weight("double_blocks.0.img_mlp.0")),
        ("krea2", "transformer_blocks.0.attn.to_out", weight("blocks.0.attn.wo")),
        (
            "anima",
            "text_conditioner.blocks.0.self_attn.q_proj",
            weight("llm_adapter.blocks.0.self_attn.q_proj"),
        ),
        (
            "ideogram4",
            "conditional_transformer.layers.0.attention.o",
            weight("layers.0.attention.o"),
        ),
        ("z_image", "lora_unet_layers_1_attention_to_out_0", weight("layers.1.attention.out")),
        # Tencent's names, as kohya saves them
        (
            "hunyuan_image21",
            "lora_unet_double_blocks_0_img_mlp_fc1",
            weight("double_blocks.0.img_mlp.0"),
        ),
        (
            "hunyuan_image21",
            "lora_unet_single_blocks_0_modulation_linear",
            weight("single_blocks.0.modulation.lin"),
        ),
    ],
)
def test_names_that_neither_diffusers_nor_the_model_has(
    architecture: str, name: str, expected: Target
):
    assert found(architecture, name) == expected


def test_lumina_has_fewer_heads_in_k_and_v():
    shapes = layouts()["lumina2"].shapes
    key = "diffusion_model.layers.0.attention.qkv.weight"
    rows = [found("lumina2", f"layers.0.attn.to_{part}").rows for part in "qkv"]  # pyright: ignore
    height, width = shapes[key]
    kv = (height - width) // 2
    assert kv < width
    assert rows == [(0, width), (width, kv), (width + kv, kv)]


# --- text encoders --------------------------------------------------------------------------------


def encoder(architecture: str, name: str) -> str | None:
    target = ModelNames(text_layouts()[architecture].shapes).find(name)
    assert target is None or target.part == "clip"
    return target.key if target else None


CLIP_Q = "text_model.encoder.layers.0.self_attn.q_proj"
T5_Q = "encoder.block.0.layer.0.SelfAttention.q"
LLM_Q = "model.layers.0.self_attn.q_proj"
BERT_Q = "encoder.layer.0.attention.self.query"


@pytest.mark.parametrize(
    ("architecture", "names", "key"),
    [
        ("sd15", ["text_encoder.", "lora_te_", "lora_te1_"], f"clip_l.transformer.{CLIP_Q}"),
        ("sdxl", ["text_encoder.", "lora_te1_"], f"clip_l.transformer.{CLIP_Q}"),
        ("sdxl", ["text_encoder_2.", "lora_te2_"], f"clip_g.transformer.{CLIP_Q}"),
        (
            "sdxl_refiner",
            ["text_encoder.", "text_encoder_2.", "lora_te_", "lora_te2_"],
            f"clip_g.transformer.{CLIP_Q}",
        ),
        (
            "stable_cascade_c",
            ["lora_prior_te_", "text_encoder.", "lora_te_"],
            f"clip_g.transformer.{CLIP_Q}",
        ),
        ("flux", ["text_encoder_2.", "lora_te2_", "lora_te3_"], f"t5xxl.transformer.{T5_Q}"),
        ("sd3", ["text_encoder_3.", "lora_te3_"], f"t5xxl.transformer.{T5_Q}"),
        ("ltxv", ["text_encoder.", "lora_te_"], f"t5xxl.transformer.{T5_Q}"),
        (
            "auraflow",
            ["text_encoder.", "text_encoders.pile_t5xl.transformer."],
            f"pile_t5xl.transformer.{T5_Q}",
        ),
        (
            "hunyuan_video",
            ["text_encoder.", "text_encoders.llama.transformer.", "lora_te1_"],
            f"llama.transformer.{LLM_Q}",
        ),
        (
            "hunyuan_video",
            ["text_encoder_2.", "text_encoder.", "lora_te2_", "lora_te1_"],
            f"clip_l.transformer.{CLIP_Q}",
        ),
        (
            "hunyuan_dit",
            ["text_encoder.bert.", "text_encoder.", "lora_te1_"],
            f"hydit_clip.transformer.bert.{BERT_Q}",
        ),
        ("hunyuan_dit", ["text_encoder_2.", "lora_te2_"], f"mt5xl.transformer.{T5_Q}"),
    ],
)
def test_which_encoder_is_meant(architecture: str, names: list[str], key: str):
    path = key.partition(".transformer.")[2].removeprefix("bert.")
    for prefix in names:
        name = prefix + (path.replace(".", "_") if prefix.endswith("_") else path)
        assert encoder(architecture, name) == f"{key}.weight", name


@pytest.mark.parametrize(
    "name",
    [
        "lora_te_layers_0_self_attn_q_proj",
        "text_encoder.layers.0.self_attn.q_proj",
        "text_encoder.model.layers.0.self_attn.q_proj",
        "text_encoder.model.language_model.layers.0.self_attn.q_proj",
        "text_encoder.language_model.model.layers.0.self_attn.q_proj",
        "text_encoders.qwen3_4b.transformer.model.layers.0.self_attn.q_proj",
        "text_encoders.transformer.model.layers.0.self_attn.q_proj",
    ],
)
def test_a_language_model(name: str):
    assert encoder("z_image", name) == f"qwen3_4b.transformer.{LLM_Q}.weight"


def test_an_encoder_is_no_other_of_the_same_kind():
    assert encoder("z_image", f"text_encoders.qwen3_8b.transformer.{LLM_Q}") is None
    assert encoder("sdxl", f"text_encoder_3.{CLIP_Q}") is None
    assert encoder("flux", f"text_encoder_2.{CLIP_Q}") is None
    # made for SD 3 or SDXL, and means the encoder that is not there
    assert encoder("sdxl_refiner", f"lora_te1_{CLIP_Q.replace('.', '_')}") is None


@pytest.mark.parametrize(
    "name",
    [
        f"text_encoders.qwen3_4b.transformer.{LLM_Q}",
        f"text_encoder.{LLM_Q}",
        "lora_te_layers_0_self_attn_q_proj",
        f"base_model.model.{LLM_Q}",
    ],
)
def test_a_language_model_by_itself(name: str):
    shapes = {f"{LLM_Q}.weight": (4, 4), "model.embed_tokens.weight": (9, 4)}
    assert ModelNames(shapes, "text_encoder").find(name) == Target(f"{LLM_Q}.weight", part="clip")


def test_a_module_called_transformer_is_no_encoder():
    shapes = {"visual.transformer.resblocks.0.mlp.c_fc.weight": (4, 4)}
    name = "visual.transformer.resblocks.0.mlp.c_fc"
    assert ModelNames(shapes).find(name) == Target(f"{name}.weight")


@pytest.mark.parametrize("prefix", ["text_encoders.", ""])
@pytest.mark.parametrize("name", ["clip_l", "t5xxl", "qwen25_7b"])
def test_an_encoder_in_a_checkpoint(prefix: str, name: str):
    inside = {"clip_l": CLIP_Q, "t5xxl": T5_Q, "qwen25_7b": LLM_Q}[name]
    key = f"{prefix}{name}.transformer.{inside}.weight"
    found = ModelNames({key: (4, 4)}).find(f"text_encoders.{name}.transformer.{inside}")
    assert found == Target(key, part="clip")


def test_a_scale_may_be_called_by_its_module():
    shapes = {"a.norm.scale": (4,), "a.fc.weight": (4, 4)}
    assert ModelNames(shapes).find("a.norm") == Target("a.norm.scale")
    assert ModelNames(shapes).find("a.norm.scale") == Target("a.norm.scale")
    assert ModelNames(shapes | {"a.norm.weight": (4,)}).find("a.norm") == Target("a.norm.weight")
