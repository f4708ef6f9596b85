"""Block weights of other tools: their names, vectors and tags mean here what they mean there."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lora_core import LoraInputError
from lora_core.algebra.block_layers import factors_of
from lora_core.algebra.block_weights import read_blocks
from lora_core.lists.block_presets import ELEMENTS, PRESETS, elements, preset
from lora_core.lists.block_vectors import LENGTHS, UNETS, from_block_select, from_vector
from lora_core.lists.tags import read_tags
from lora_core.naming import Layers
from tools.fidelity.layouts import layouts


def unet(inputs: int, outputs: int, base: str) -> Layers:
    names = [
        *(f"input_blocks.{n}.1.transformer_blocks.0.attn1.to_q" for n in range(inputs)),
        "middle_block.1.transformer_blocks.0.attn1.to_q",
        *(f"output_blocks.{n}.1.transformer_blocks.0.attn1.to_q" for n in range(outputs)),
        *(f"input_blocks.{n}.1.proj_in" for n in range(inputs)),
        "middle_block.1.proj_in",
        *(f"output_blocks.{n}.1.proj_in" for n in range(outputs)),
    ]
    return Layers({f"{name}.weight": (8, 8) for name in (*names, "time_embed.0")}, base)


def flux() -> Layers:
    names = [
        *(f"double_blocks.{n}.img_attn.qkv" for n in range(19)),
        *(f"single_blocks.{n}.linear1" for n in range(38)),
        "img_in",
        "final_layer.linear",
    ]
    return Layers({f"{name}.weight": (8, 8) for name in names}, "Flux")


SD, SDXL, FLUX = unet(12, 12, "SD 1.5"), unet(9, 9, "SDXL"), flux()

# the names of the numbers, as hako-mikan's table has them
NAMES = {
    12: "BASE IN04 IN05 IN07 IN08 M00 OUT00 OUT01 OUT02 OUT03 OUT04 OUT05",
    17: "BASE IN01 IN02 IN04 IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11",
    20: " ".join(
        ["BASE", *(f"IN{n:02}" for n in range(9)), "M00", *(f"OUT{n:02}" for n in range(9))]
    ),
    26: " ".join(
        ["BASE", *(f"IN{n:02}" for n in range(12)), "M00", *(f"OUT{n:02}" for n in range(12))]
    ),
    61: " ".join(
        [
            "CLIP",
            "T5",
            "IN",
            *(f"D{n:02}" for n in range(19)),
            *(f"S{n:02}" for n in range(38)),
            "OUT",
        ]
    ),
}
STARTS = {"IN": "input_blocks", "OUT": "output_blocks", "D": "double_blocks", "S": "single_blocks"}


def by_path(text: str, model: Layers) -> tuple[dict[str, Fraction], Fraction]:
    weights, encoders = read_blocks(text)
    factors = factors_of(weights.lines, model)
    return {model[key].path: factor for key, factor in factors.items()}, encoders


def expected(numbers: list[float], model: Layers) -> dict[str, float]:
    """What hako-mikan's table says of every weight: blocks that it does not have get 0."""
    named = dict(zip(NAMES[len(numbers)].split(), numbers, strict=True))
    places = {
        f"{STARTS[name.rstrip('0123456789')]}.{int(name.lstrip('INOUTDS'))}": number
        for name, number in named.items()
        if name[-1].isdigit() and name not in ("M00", "T5")
    }
    found: dict[str, float] = {}
    for layer in model.values():
        first = ".".join(layer.path.split(".")[:2])
        if layer.path.startswith("middle_block"):
            found[layer.path] = named["M00"]
        elif layer.block:
            found[layer.path] = places.get(first, 0)
        elif "BASE" in named:
            found[layer.path] = named["BASE"]
        else:
            found[layer.path] = named["OUT" if "final" in layer.path else "IN"]
    return found


@pytest.mark.parametrize(("count", "model"), [(12, SDXL), (17, SD), (20, SDXL), (26, SD)])
@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_vector_of_a_unet_means_what_its_table_says(count, model, step):
    numbers = [(step * n % 11 - 3) / 10 for n in range(count)]
    found, encoders = by_path(from_vector(",".join(map(str, numbers))), model)
    assert {path: float(factor) for path, factor in found.items()} == expected(numbers, model)
    assert float(encoders) == numbers[0]


@pytest.mark.parametrize("step", [1, 3, 7])
def test_the_vectors_of_flux(step):
    blocks = [(step * n % 11 - 3) / 10 for n in range(57)]
    whole = [0.25, 0.25, 0.75, *blocks, 0.125]
    found, encoders = by_path(from_vector(",".join(map(str, whole))), FLUX)
    assert {path: float(factor) for path, factor in found.items()} == expected(whole, FLUX)
    assert encoders == Fraction(1, 4)
    for vector, outer in (([0.5, *blocks], 0.5), (blocks, 1)):
        found, encoders = by_path(from_vector(f"[{', '.join(map(str, vector))}]"), FLUX)
        assert [float(factor) for factor in found.values()] == [*blocks, outer, outer]
        assert encoders == outer
    found, _ = by_path(from_vector(",".join(map(str, blocks[:19]))), FLUX)
    assert [float(factor) for factor in found.values()] == [*blocks[:19], *[1] * 40]


def convolutions(model: Layers) -> Layers:
    """The same model with the other two modules of its block in the middle."""
    more = {f"middle_block.{n}.in_layers.2.weight": (8, 8, 3, 3) for n in (0, 2)}
    return Layers({**dict.fromkeys(model, (8, 8)), **more}, model.base)


@pytest.mark.parametrize(("count", "model"), [(21, SDXL), (27, SD)])
def test_the_vectors_of_inspire_for_files_with_convolutions(count, model):
    """They have no number for the first block, and three for the one in the middle."""
    whole = convolutions(model)
    outs = len(model.numbers["out"])
    numbers = [n / 100 for n in range(1, count + 1)]
    base, first, middle = numbers[0], numbers[1:outs], numbers[outs : outs + 3]
    found, encoders = by_path(from_vector(",".join(map(str, numbers))), whole)
    values = dict(zip(range(outs), [0, *first], strict=True))
    ends = dict(zip(range(outs), numbers[outs + 3 :], strict=True))
    for path, factor in found.items():
        layer = whole[f"{path}.weight"]
        own = {"in": values, "out": ends, "": {0: base}}.get(layer.block)
        place = int(path.split(".")[1]) if layer.block else 0
        assert float(factor) == (middle[place] if own is None else own[layer.index])
    assert float(encoders) == base


def test_three_equal_numbers_for_the_middle_fit_every_layout():
    assert "mid: 1" in preset("SD-LyC-MIDALL").splitlines()


def test_a_vector_for_sd_fits_sdxl_where_both_have_the_blocks():
    found, _ = by_path(preset("OUTS"), SDXL)
    on = {path for path, factor in found.items() if factor}
    assert on == {p for p in found if p.startswith(("output_blocks.7", "output_blocks.8", "time"))}
    with pytest.raises(LoraInputError):
        by_path(from_vector("1,0,0,0,0,0,0,1,0,0,0,0,0,0,0.3,0,0"), SDXL)


@pytest.mark.parametrize(
    "text", ["", "1", "1,2", "1," * 11, ",".join("1" * 13), "1,1,1,1,1,x,1,1,1,1,1,1"]
)
def test_what_is_no_vector_is_refused(text):
    with pytest.raises(LoraInputError) as refused:
        from_vector(text)
    assert refused.value.key == "weights"


def test_lengths_and_two_text_encoders_are_said():
    with pytest.raises(LoraInputError) as refused:
        from_vector("1,1,1")
    assert refused.value.expected == f"{', '.join(map(str, LENGTHS))} numbers"
    assert {*UNETS} < {*LENGTHS}
    with pytest.raises(LoraInputError):
        from_vector("1,0," + ",".join("1" * 59))


def test_letters_stand_for_numbers():
    text = from_vector("1,A,a,B,b,X,1,1,1,1,1,1;A=2;B=-3;X=.5;")
    found, _ = by_path(text, SDXL)
    paths = [p for p in found if p.startswith(("input", "middle"))]
    assert [float(found[p]) for p in paths if "proj" not in p] == [
        0,
        0,
        0,
        0,
        2,
        1,
        0,
        -3,
        -1.5,
        0.5,
    ]
    with pytest.raises(LoraInputError):
        from_vector("1,A,1,1,1,1,1,1,1,1,1,1")


def test_random_numbers_need_a_seed_and_are_then_always_the_same():
    with pytest.raises(LoraInputError):
        preset("ROUT")
    assert preset("ROUT", 3) == preset("rout", 3) != preset("ROUT", 4)
    found, _ = by_path(preset("ROUT", 3), SD)
    values = {float(f) for p, f in found.items() if p.startswith("output_blocks")}
    assert len(values) > 5
    assert all(0 <= value <= 1 for value in values)


FITS = {
    "SDXL": SDXL,
    "FLUX": FLUX,
    "Z": Layers(
        {f"diffusion_model.layers.{n}.attention.qkv.weight": (8, 8) for n in range(30)}, "Z-Image"
    ),
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_for_a_model(name):
    model = FITS.get(name.partition("-")[0], SD)
    found, _ = by_path(PRESETS[name], model)
    assert found.keys() == {layer.path for layer in model.values()}


@pytest.mark.parametrize("name", ["EARLY", "MIDDLE", "LATE", "EVENS", "ODDS", "NONE", "ALL0.5"])
@pytest.mark.parametrize("layout", ["flux", "wan_i2v", "qwen_image", "z_image", "sd15", "ltxav"])
def test_presets_for_any_model(name, layout):
    shapes = layouts()[layout].shapes
    found, encoders = by_path(preset(name), Layers(shapes, None))
    assert {*found.values()} == (
        {Fraction(1, 2)}
        if name == "ALL0.5"
        else {Fraction(0)}
        if name == "NONE"
        else {Fraction(0), Fraction(1)}
    )
    assert encoders == {"NONE": 0, "ALL0.5": Fraction(1, 2)}.get(name, 1)


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("INS", "IN01 IN02 IN04"),
        ("IND", "IN05 IN07 IN08"),
        ("INALL", "IN01 IN02 IN04 IN05 IN07 IN08"),
        ("MIDD", "IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06"),
        ("OUTD", "OUT03 OUT04 OUT05 OUT06"),
        ("OUTS", "OUT07 OUT08 OUT09 OUT10 OUT11"),
        ("OUTALL", "OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11"),
    ],
)
def test_the_presets_that_people_know(name, on):
    numbers = [float(own == "BASE" or own in on.split()) for own in NAMES[17].split()]
    for called in (name, name.lower(), f"SD-{name}"):
        found, encoders = by_path(preset(called), SD)
        assert {path: float(factor) for path, factor in found.items()} == expected(numbers, SD)
        assert encoders == 1


@pytest.mark.parametrize(
    ("name", "double", "single"),
    [
        ("FLUX-DBL-FRONT7", range(7), ()),
        ("FLUX-DBL-MID6", range(7, 13), ()),
        ("FLUX-DBL-TAIL6", range(13, 19), range(38)),  # the last number counts for all after it
        ("FLUX-SINGLE-ALL", (), range(38)),
        ("FLUX-SINGLE-1to10", (), range(10)),
        ("FLUX-SINGLE-31to37", (), range(30, 38)),
        ("FLUX-FACE", (7, 12, 16), (7, 12, 16, 20)),
        ("FLUX-FACE-AGGRESSIVE", (4, 7, 8, 12, 15, 16), (4, 7, 8, 12, 15, 16, 19, 20)),
        ("FLUX-STYLE", {*range(19)} - {7, 12, 16}, {*range(38)} - {7, 12, 16, 20}),
    ],
)
def test_the_presets_of_flux(name, double, single):
    found, _ = by_path(preset(name), FLUX)
    on = {path for path, factor in found.items() if factor}
    assert on == {
        *(f"double_blocks.{n}.img_attn.qkv" for n in double),
        *(f"single_blocks.{n}.linear1" for n in single),
        "img_in",
        "final_layer.linear",
    }


@pytest.mark.parametrize(
    ("name", "model", "on"),
    [
        ("SD-LyC-INALL", SD, {("in", n) for n in range(1, 12)}),
        ("SD-LyC-MIDALL", SD, {("mid", 0)}),
        ("SD-LyC-OUTALL", SD, {("out", n) for n in range(12)}),
        ("SDXL-LyC-INALL", SDXL, {("in", n) for n in range(1, 9)}),
        ("SDXL-LyC-MIDALL", SDXL, {("mid", 0)}),
        ("SDXL-LyC-OUTALL", SDXL, {("out", n) for n in range(9)}),
    ],
)
def test_the_presets_of_inspire_for_files_with_convolutions(name, model, on):
    found, encoders = by_path(preset(name), model)
    layers = [model[f"{path}.weight"] for path, factor in found.items() if factor]
    assert {(layer.block, layer.index) for layer in layers} == {*on, ("", 0)}
    assert encoders == 1


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("FLUXALL", "FLUX-ALL"),
        ("SD-NONE", "NONE"),
        ("SDXL-NONE", "NONE"),
        ("SDXL-ALL", "ALL"),
        ("SD-LyC-ALL", "ALL"),
        ("SDXL-LyC-NONE", "NONE"),
    ],
)
def test_other_names_of_the_same_presets(name, same):
    assert preset(name) == preset(same)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(LoraInputError) as refused:
        preset("MIDDLING")
    assert (refused.value.key, refused.value.found) == ("preset", "MIDDLING")
    assert "MIDD," in str(refused.value.expected)


def test_block_selects_are_off_outside_of_what_they_select():
    found, _ = by_path(from_block_select({"double_blocks.0.": 0.5, "single_blocks.3.": True}), FLUX)
    on = {path: float(factor) for path, factor in found.items() if factor}
    assert on == {"double_blocks.0.img_attn.qkv": 0.5, "single_blocks.3.linear1": 1}
    with pytest.raises(LoraInputError):
        from_block_select({"double_blocks.0.": "much"})


def test_elements_change_some_layers_of_some_blocks():
    found, _ = by_path(elements("IN05-OUT04:attn:0.5"), SDXL)
    for path, factor in found.items():
        own = SDXL[f"{path}.weight"]
        inside = own.block == "mid" or (own.block, own.index) in {
            *(("in", n) for n in range(5, 9)),
            *(("out", n) for n in range(5)),
        }
        assert factor == (Fraction(1, 2) if inside and "attn" in path else 1)
    found, _ = by_path(elements("PROJDEEPOFF"), SDXL)
    assert {path for path, factor in found.items() if not factor} == {
        *(f"input_blocks.{n}.1.proj_in" for n in range(5, 9)),
        "middle_block.1.proj_in",
        *(f"output_blocks.{n}.1.proj_in" for n in range(6)),
    }
    off, encoders = by_path(elements("ALL0"), SDXL)
    assert {*off.values(), encoders} == {0}
    found, encoders = by_path(elements(":attn1_to:0"), SDXL)
    assert {path for path, factor in found.items() if not factor} == {
        path for path in found if path.endswith("attn1.to_q")
    }
    assert encoders == 1
    for name in ELEMENTS:
        read_blocks(elements(name))


@pytest.mark.parametrize(
    "text", ["", "ATTNDEEP", "IN05:attn", "OUT05-IN05:attn:1", "X5:attn:1", "::x"]
)
def test_what_is_no_element_is_refused(text):
    with pytest.raises(LoraInputError) as refused:
        elements(text)
    assert refused.value.key == "lbwe"


# --- tags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "blocks", "ignored"),
    [
        ("<lora:ink:1:1:lbw=MIDD>", preset("MIDD"), ()),
        ("<lora:ink:1:LBW=midd:lbwe=ATTNON>", f"{preset('MIDD')}\n*attn*: 1", ()),
        (
            "<lora:ink:1:lbwe=ATTNDEEPOFF:lbw=OUTALL>",
            f"{preset('OUTALL')}\n{elements('ATTNDEEPOFF')}",
            (),
        ),
        (
            '<lora:"ink":1:lbw=MIDD:lbwe=ATTNON:start=10:stop=20:step=5-10>',
            f"{preset('MIDD')}\n*attn*: 1",
            ("start=10", "stop=20", "step=5-10"),
        ),
        ("<lora:ink:1:OUTS>", preset("OUTS"), ()),
        ("<lora:ink:1:1,0,0,0,1,1,1,1,1,1,1,1>", from_vector("1,0,0,0,1,1,1,1,1,1,1,1"), ()),
        (
            "<lora:ink:1:lbw=1,0,0,0,A,1,1,1,1,1,1,1;A=2;>",
            from_vector("1,0,0,0,2,1,1,1,1,1,1,1"),
            (),
        ),
        ("<lora:ink:1:in=0:mid=1:out=0.5>", "in: 0\nmid: 1\nout: 0.5", ()),
        ("<lora:ink:1:lbw=MINE>", "", ("lbw=MINE",)),
        ("<lora:ink:1:lbw=ROUT>", "", ("lbw=ROUT",)),
        ("<lora:ink:1:lbw=1,0>", "", ("lbw=1,0",)),
        ("<lora:ink:1:lbwe=MINE>", "", ("lbwe=MINE",)),
        ("<lora:ink:1:in=much>", "", ("in=much",)),
        ("<lora:ink:1:0.5:8>", "", ("8",)),
    ],
)
def test_tags_carry_block_weights(tag, blocks, ignored):
    ((found,), _) = read_tags(tag)
    assert (found.blocks, found.ignored) == (blocks, ignored)
    read_blocks(found.blocks)
