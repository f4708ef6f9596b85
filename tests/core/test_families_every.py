"""Every type of adapter that peft has: read exactly or refused by its name, never read in part."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields

import pytest
import torch
from safetensors.torch import save_file

from harness.oracles import PEFT
from harness.oracles.every_tuner import (
    ADAPTER,
    WRITTEN,
    every_type,
    save,
    states,
    tuner,
    tuners,
)
from lora_core import LoraFileError
from lora_core.families.family import Family
from lora_core.families.lora import OTHER_FAMILIES
from lora_core.families.registry import FAMILIES, FORMS, KEYS, PEFT_TYPES, SCALARS, SHARED
from lora_core.families.unread import SUFFIXES, WORDS, unread_family
from lora_core.formats.keys import PEFT_PREFIX, FileKey
from lora_core.reading.header import identify
from lora_core.reading.reader import check_file, read_file

pytest.importorskip("peft")
pytest.importorskip("transformers")

KINDS = every_type()

OF_OTHERS = {
    # rows with a place for an adapter's name that peft 0.21.2 itself does not write
    ".oft_R*.scaled_oft",
    ".scaled_oft*",  # OneTrainer
    ".lora_magnitude_vector*",
    ".bone_block*",
    ".oft_r*",  # earlier versions
    ".lokr_t1*",  # LyCORIS
}


def normal(text: str) -> str:
    """The letters of a name, however it is written."""
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def names_it(kind: str, sentence: str) -> bool:
    """Whether a refusal says which family a file is of."""
    return normal(kind) in normal(sentence)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - PEFT_TYPES))
def test_what_is_not_read_is_refused_by_its_name(kind, tmp_path):
    files = [save(model, tmp_path / str(i)) for i, model in enumerate(tuners(kind))]
    if kind in WRITTEN:
        files.append(tmp_path / "written.safetensors")
        save_file({k: torch.ones(s) for k, s in WRITTEN[kind].items()}, files[-1])
    assert files
    for file in files:
        for act in (read_file, check_file):
            with pytest.raises(LoraFileError) as refused:
                act(identify(file))
            assert names_it(kind, str(refused.value)), refused.value


@pytest.mark.parametrize("kind", sorted(set(KINDS) - PEFT_TYPES))
def test_it_is_refused_beside_a_lora_and_without_a_config_too(kind, tmp_path):
    """Where it is a part of a file, the rest of which could be read."""
    pair = {
        f"{PEFT_PREFIX}other.lora_A.weight": torch.ones(2, 16),
        f"{PEFT_PREFIX}other.lora_B.weight": torch.ones(16, 2),
    }
    tensors = [states(model) for model in tuners(kind)]
    dicts = [each for both in tensors for each in both if each]
    dicts += [{k: torch.ones(s) for k, s in WRITTEN[kind].items()}] if kind in WRITTEN else []
    for index, each in enumerate(dicts):
        file = tmp_path / f"{index}.safetensors"
        save_file({k: v.clone().contiguous() for k, v in (pair | each).items()}, file)
        with pytest.raises(LoraFileError) as refused:
            read_file(identify(file))
        assert names_it(kind, str(refused.value)), refused.value


def test_every_variant_of_lora_is_read_or_known_by_its_option():
    from peft import LoraConfig

    variants = {f.name for f in fields(LoraConfig) if f.metadata.get("is_lora_variant")}
    assert variants - {"use_dora"} <= OTHER_FAMILIES.keys()
    (starts,) = filter(None, (f.metadata.get("lora_variants") for f in fields(LoraConfig)))
    assert starts == ["mica"]  # which trains the down alone, and is a LoRA all the same


@pytest.mark.parametrize(
    ("option", "value", "family"),
    [
        ("monteclora_config", "MontecloraConfig", "MonteCLoRA"),
        ("velora_config", "VeloraConfig", "VeLoRA"),
        ("kasa_config", "KasaConfig", "KaSA"),
    ],
)
@pytest.mark.parametrize("with_config", [True, False])
def test_a_variant_of_lora_is_refused_by_its_name(option, value, family, with_config, tmp_path):
    from peft.tuners.lora import config

    model = tuner("LORA", **{option: getattr(config, value)()})
    file = save(model, tmp_path)
    if not with_config:
        file.with_name("adapter_config.json").unlink()
    with pytest.raises(LoraFileError, match=f"is {family}, which"):
        read_file(identify(file))


@pytest.mark.parametrize("kind", sorted(PEFT_TYPES & set(KINDS)))
def test_what_is_read_has_an_oracle(kind):
    """``test_families_peft`` holds these to peft's own forward."""
    oracles = {normal(case.family) for case in PEFT}
    assert normal(kind) in oracles or kind == "BONE"


@pytest.mark.parametrize("kind", sorted(PEFT_TYPES & set(KINDS)))
def test_an_adapters_name_changes_nothing(kind):
    for model in tuners(kind):
        saved, inside = states(model)
        modules, unknown = KEYS.group(map(FileKey, saved))
        if not any(unread_family(role) for roles in modules.values() for role in roles):
            assert not unknown
            found = {KEYS.split(key) for key in inside} - {None}
            assert found >= {(name, role) for name, roles in modules.items() for role in roles}


def test_every_row_that_peft_writes_has_a_place_for_the_name():
    """And no row has one that peft, or who builds upon it, does not write."""
    named = {each for each in KEYS.spellings if "*" in each}
    written: set[str] = set()
    for kind in PEFT_TYPES & set(KINDS):
        for model in tuners(kind):
            for key in states(model)[1]:
                split = KEYS.split(key)
                if split is not None and not unread_family(split[1]):
                    written.add(key.removeprefix(split[0]).replace(f".{ADAPTER}", "*"))
    assert written - {"*"} == named - OF_OTHERS


def test_every_spelling_has_one_owner():
    """Two families with one suffix would read each other's tensors."""
    spelled = [suffix for family in FAMILIES for suffix in family.spellings]
    unread = [suffix for suffixes in SUFFIXES.values() for suffix in suffixes]
    owners = Counter(each.replace("*", "").replace("|", "") for each in spelled + unread)
    assert max(owners.values()) == 1 and len(owners) == len(KEYS.spellings)


def test_every_role_has_one_owner():
    owners = Counter(role for family in FAMILIES for role in roles_of(family))
    assert max(owners.values()) == 1
    known = owners.keys()
    assert SCALARS.keys() | SHARED.keys() | set(SHARED.values()) <= known
    for _, form in FORMS:
        assert form.needs | form.takes <= known


def roles_of(family: Family) -> set[str]:
    return {*family.spellings.values(), *(each.role for each in family.plain_parameters)}


def test_no_word_of_an_unread_family_is_the_beginning_of_another():
    words = [word for words in WORDS.values() for word in words]
    assert not [(a, b) for a in words for b in words if a != b and a.startswith(b)]


@pytest.mark.parametrize("spelling", [each for each in KEYS.spellings if "*" in each])
@pytest.mark.parametrize("name", ["style", "default_0", "weights", "lora_A"])
def test_any_name_will_do(spelling, name):
    plain = KEYS.split("layer" + spelling.replace("*", ""))
    assert plain is not None and plain[0] == "layer"
    assert KEYS.split("layer" + spelling.replace("*", f".{name}")) == plain


@pytest.mark.parametrize("spelling", [each for each in KEYS.spellings if "*" not in each])
def test_where_peft_has_no_name_there_is_none(spelling):
    head, dot, leaf = spelling.replace("|", "").rpartition(".")
    if head:
        assert KEYS.split(f"layer{head}.style{dot}{leaf}") is None


@pytest.mark.parametrize("kind", ["DELORA", "OFT", "HRA", "VERA", "LOKR"])
def test_a_file_that_keeps_the_name_is_the_same_lora(kind, tmp_path):
    saved, inside = states(next(iter(tuners(kind))))
    files = []
    for title, tensors in (("saved", saved), ("inside", inside)):
        files.append(tmp_path / f"{title}.safetensors")
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, files[-1])
    first, second = (read_file(identify(file)) for file in files)
    assert first.modules.keys() == second.modules.keys()
    assert [m.families for m in first.modules.values()] == [
        m.families for m in second.modules.values()
    ]
    for one, other in zip(first.modules.values(), second.modules.values(), strict=True):
        assert [*map(str, one.max_abs_bounds)] == [*map(str, other.max_abs_bounds)]
