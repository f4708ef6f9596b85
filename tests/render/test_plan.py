"""Items: each once, known by what they compute, and told apart by the weights that they need."""

from __future__ import annotations

import hashlib
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_core.errors import LoraInputError
from lora_render.contents import Contents, named_files
from lora_render.plan import key_of, plan_items
from lora_render.weights import weights_of
from tests.render.graphs import INFO, node, prompt


def plan(rows, made=None, hash_of=lambda name: None):
    return plan_items(made or prompt(), rows, INFO, hash_of)


def test_a_chain_without_end_is_refused():
    chain = {str(n): node("LoraLoader", model=[str(n + 1), 0]) for n in range(5000)}
    ends = {"5000": node("CheckpointLoaderSimple"), "last": node("KSampler", model=["0", 0])}
    with pytest.raises(LoraInputError, match="too many nodes in a row"):
        plan([{}], chain | ends)


def renamed(made, change):
    """The same with other ids."""
    return {
        change(number): each
        | {
            "inputs": {
                name: [change(value[0]), value[1]] if isinstance(value, list) else value
                for name, value in each["inputs"].items()
            }
        }
        for number, each in made.items()
    }


class TestItems:
    def test_rows_that_compute_the_same_are_one_item(self):
        rows = [{"#6.cfg": 7.0}, {"#6.seed": 8}, {}, {"#6.cfg": "7"}, {"KSampler.seed": "8"}]
        items = plan(rows)
        assert [item.index for item in items] == [0, 1]
        assert items[1].parameters == {"#6.seed": 8}
        assert items[1].prompt["6"]["inputs"]["seed"] == 8

    def test_a_longer_table_keeps_the_keys_of_a_shorter_one(self):
        short, long = ([{"#6.seed": seed} for seed in range(count)] for count in (3, 5))
        assert [each.key for each in plan(long)][:3] == [each.key for each in plan(short)]

    @given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
    def test_there_are_as_many_items_as_values(self, seeds):
        items = plan([{"#6.seed": seed} for seed in seeds])
        assert [item.parameters["#6.seed"] for item in items] == list(dict.fromkeys(seeds))
        assert len({item.key for item in items}) == len(items)


class TestKey:
    def test_it_is_a_hash(self):
        assert re.fullmatch("[0-9a-f]{64}", key_of(prompt(), {}))

    def test_titles_and_the_writing_of_numbers_do_not_count(self):
        other = {number: {**each, "_meta": {}} for number, each in prompt(_6_={"cfg": 7.0}).items()}
        assert key_of(other, {}) == key_of(prompt(), {})

    @pytest.mark.parametrize("changed", [{"seed": 8}, {"model": ["1", 0]}, {"denoise": True}])
    def test_everything_else_counts(self, changed):
        assert key_of(prompt(_6_=changed), {}) != key_of(prompt(), {})

    def test_contents_of_files_count(self, tmp_path):
        file = tmp_path / "loras" / "style" / "ink.v2.safetensors"
        file.parent.mkdir(parents=True)
        keys = []
        for content in (b"one", b"two", b"one"):
            file.write_bytes(content)
            (item,) = plan([{}], hash_of=Contents([tmp_path]))
            keys.append(item.key)
            assert list(item.files) == ["style/ink.v2.safetensors"]
        assert keys[0] == keys[2] != keys[1]


class TestContents:
    def test_a_file_is_found_below_the_folders_of_models(self, tmp_path):
        for name in ("loras/a.safetensors", "loras/in/b.safetensors", "c.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(name.encode())
        found = Contents([tmp_path])
        assert all(
            map(found, ["a.safetensors", "a", "in/b.safetensors", r"in\b.safetensors", "c.png"])
        )
        assert found(str(tmp_path / "c.png")) == found("c.png")
        assert found("a") == found("a.safetensors") != found("in/b.safetensors")
        assert [
            found(name)
            for name in ("none.safetensors", "", "in", "../c.png", str(tmp_path.parent / "c.png"))
        ] == [None] * 5

    def test_a_file_is_found_without_its_folder_and_ending_and_in_any_case(self, tmp_path):
        file = tmp_path / "loras" / "style" / "Ink.v2.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"ink")
        found = Contents([tmp_path])
        names = ("Ink.v2", "ink.V2.safetensors", "style/ink.v2", "loras/style/Ink.v2")
        assert len({*map(found, names)} - {None}) == 1
        assert [found(name) for name in ("ink", "other/none", "Ink.v2.png")] == [None] * 3

    def test_a_folder_and_a_pattern_mean_all_their_files(self, tmp_path):
        (tmp_path / "loras" / "styles").mkdir(parents=True)
        for name in ("styles/a-1.safetensors", "styles/b.safetensors", "c.safetensors"):
            (tmp_path / "loras" / name).write_bytes(name.encode())
        before = {name: Contents([tmp_path])(name) for name in ("styles/", "a-*", "styles/?")}
        assert before["a-*"] == Contents([tmp_path])("a-1")
        assert before["styles/?"] == Contents([tmp_path])("b")
        (tmp_path / "loras" / "styles" / "a-1.safetensors").write_bytes(b"other")
        after = {name: Contents([tmp_path])(name) for name in before}
        assert [name for name in before if before[name] != after[name]] == ["styles/", "a-*"]

    def test_folders_that_are_links_are_looked_into_and_circles_end(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.pt").write_bytes(b"x")
        (tmp_path / "models").mkdir()
        for name in ("loras", "again"):
            (tmp_path / "models" / name).symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "models")
        assert Contents([tmp_path / "models"])("a")

    @pytest.mark.parametrize("name", ["a.bmp", "a.latent", "a.ogg", "a.mkv", "in/a.unheard"])
    def test_a_file_of_any_kind_counts(self, tmp_path, name):
        inputs = {"1": {"class_type": "Reads", "inputs": {"source": name}}}
        (tmp_path / "in").mkdir()
        keys = set()
        for content in (b"1", b"2"):
            (tmp_path / name).write_bytes(content)
            (item,) = plan_items(inputs, [{}], {}, Contents([tmp_path]))
            keys.add(item.key)
        assert len(keys) == 2

    def test_a_link_that_leads_nowhere_is_no_file(self, tmp_path):
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "a.safetensors").symlink_to(tmp_path / "gone")
        assert Contents([tmp_path])("a.safetensors") is None
        (tmp_path / "a.safetensors").write_bytes(b"a")
        assert Contents([tmp_path])("a.safetensors") == hashlib.sha256(b"a").hexdigest()

    def test_two_files_of_a_name_both_count(self, tmp_path):
        hashes = []
        for one, other in ((b"1", b"2"), (b"1", b"3"), (b"1", b"1")):
            for folder, content in (("loras", one), ("vae", other)):
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / "a.safetensors").write_bytes(content)
            hashes.append(Contents([tmp_path])("a.safetensors"))
        assert len({*hashes}) == 3

    def test_a_file_is_read_once_for_each_state(self, tmp_path):
        file = tmp_path / "a.safetensors"
        file.write_bytes(b"one")
        before = file.stat()
        found = Contents([tmp_path])
        first = found("a")
        file.write_bytes(b"two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert found("a") == first  # nobody has looked inside
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        assert found("a") != first

    def test_names_in_rows_and_inputs(self):
        names = {name for each in prompt().values() for name in named_files(each["inputs"])}
        assert names == {
            "tiny.safetensors",
            "style/ink.v2.safetensors",
            "light.safetensors",
            "euler",
        }

    @pytest.mark.parametrize(
        ("inputs", "names"),
        [
            ({"lora_name": "ink"}, {"ink"}),
            ({"unet_name": "big", "seed": 1, "text": "big"}, {"big"}),
            ({"image": "a.png", "text": "a photo of a.png"}, {"a.png", "a photo of a.png"}),
            ({"text": "hills <lora:ink:0.5> and < LYCO : light >"}, {"ink", "light"}),
            ({"text": '<lora:"my: ink":1>'}, {"my: ink"}),
            ({"text": "a (embedding:old-paper:1.2), lake"}, {"old-paper"}),
            ({"files": "ink\n styles/ \n\nepochs/a-*"}, {"ink", "styles/", "epochs/a-*"}),
            ({"rows": {"rows": [{"name": "ink", "low": {"name": "low ink"}}]}}, {"ink", "low ink"}),
            ({"rows": '{"version": 1, "rows": [{"name": "ink"}]}'}, {"ink"}),
            ({"rows": "<lora:ink:0.5>"}, {"ink"}),
            ({"rows": "[" * 100_000}, set()),
            (
                {"image": "a.png [output]", "mask": "clipspace/b.png [input]"},
                {"a.png", "clipspace/b.png"},
            ),
        ],
    )
    def test_what_names_a_file(self, inputs, names):
        assert {*named_files(inputs)} == names


class TestWeights:
    def same(self, one, other):
        """Whether the loaded models, and what is done to them, are the same."""
        pairs = zip(weights_of(one, INFO), weights_of(other, INFO), strict=True)
        return tuple(first == second for first, second in pairs)

    @pytest.mark.parametrize(
        "changed",
        [
            {"_6_": {"seed": 8, "steps": 9, "cfg": 1, "sampler_name": "heun"}},
            {"_3_": {"text": "a lake"}, "_4_": {"text": "no"}},
            {"_5_": {"width": 128, "batch_size": 4}},
            {"_8_": {"filename_prefix": "other"}},
        ],
    )
    def test_what_only_the_sampler_asks_for_does_not_count(self, changed):
        assert self.same(prompt(), prompt(**changed)) == (True, True)

    def test_ids_do_not_count(self):
        assert self.same(prompt(), renamed(prompt(), lambda number: f"9:{int(number) + 30}")) == (
            True,
            True,
        )

    def test_another_checkpoint(self):
        assert self.same(prompt(), prompt(_1_={"ckpt_name": "b.safetensors"})) == (False, False)

    def test_rows_that_apply_by_themselves(self):
        for column, value in (
            ("#2.ink.v2.strength", 0.5),
            ("#2.light.on", True),
            ("#2.ink.v2.strength_clip", 0.1),
        ):
            first, second = plan([{}, {column: value}])
            assert (first.base == second.base, first.recipe == second.recipe) == (True, False)

    def test_rows_without_an_effect_do_not_count(self):
        first, second = plan([{}, {"#2.light.strength": 0.5}])
        assert first.recipe == second.recipe
        assert first.key != second.key

    def test_the_order_of_rows_does_not_count(self):
        rows = [{"name": name, "strength": 1} for name in ("a.safetensors", "b.safetensors")]
        one, other = (prompt(_2_={"rows": {"rows": each}}) for each in (rows, rows[::-1]))
        assert self.same(one, other) == (True, True)

    def applied(self, strength=1.0, clip=True):
        """Our nodes one by one; the text encoders come from ApplyToModel, too."""
        made = prompt()
        made["2"] = node("LoadLoRA", lora_name="a.safetensors", strength=strength)
        made["9"] = node("ApplyToModel", lora=["2", 0], model=["1", 0], clip=["1", 1], mode="auto")
        for number, name in (("6", "model"), ("3", "clip"), ("4", "clip")):
            made[number]["inputs"][name] = (
                ["9", int(name == "clip")] if clip else ["1", int(name == "clip")]
            )
        return made

    def test_a_recipe_that_is_applied(self):
        assert self.same(self.applied(), self.applied(0.5)) == (True, False)

    def test_a_recipe_that_only_the_text_encoder_gets(self):
        one, other = self.applied(), self.applied(0.5)
        for made in (one, other):
            made["6"]["inputs"]["model"] = ["1", 0]
        assert self.same(one, other) == (True, False)

    def test_a_recipe_that_nobody_uses(self):
        assert self.same(self.applied(clip=False), self.applied(0.5, clip=False)) == (True, True)

    def test_rows_that_go_on_to_a_node_that_nobody_uses(self):
        made = []
        for strength in (0.8, 0.5):
            rows = {"rows": [{"name": "a.safetensors", "strength": strength}]}
            one = self.applied(clip=False) | {"11": node("LoRARows", rows=rows, model=["1", 0])}
            one["9"]["inputs"]["model"] = ["11", 3]
            made.append(one)
        assert self.same(*made) == (True, True)

    def test_a_picture_as_a_mask_changes_no_weights(self):
        info = INFO | {
            "MaskLoRA": {"output": ["LORA_RECIPE"], "input": {"required": {"mask": ["MASK"]}}},
            "LoadImage": {"output": ["IMAGE", "MASK"], "input": {}},
        }
        made = []
        for picture in ("a.png", "b.png"):
            one = self.applied() | {"10": node("MaskLoRA", lora=["2", 0], mask=["11", 1])}
            one["9"]["inputs"]["lora"] = ["10", 0]
            made.append(weights_of(one | {"11": node("LoadImage", image=picture)}, info))
        assert made[0] == made[1] != weights_of(self.applied(), info)

    def test_a_strength_by_link(self):
        made = []
        for value in (0.5, 1):
            one = self.applied()
            one["2"]["inputs"]["strength"] = ["10", 0]
            made.append(one | {"10": node("PrimitiveFloat", value=value)})
        assert self.same(*made) == (True, False)

    def test_the_rest_of_a_prompt_with_tags(self):
        made = []
        info = INFO | {"FromLoRATags": {"output": ["LORA_RECIPE", "STRING"], "input": {}}}
        for text in ("a house <lora:a:0.5>", "<lora:a:0.5> a lake", "a house <lora:a:1>"):
            one = self.applied()
            one["2"] = node("FromLoRATags", text=text)
            made.append(weights_of(one, info))
        assert made[0] == made[1] != made[2]

    def test_a_circle_ends(self):
        made = prompt(_2_={"model": ["2", 3]})
        assert all(weights_of(made, INFO))

    def test_without_definitions_everything_is_alike(self):
        assert weights_of(prompt(), {}) == weights_of(prompt(_6_={"seed": 1}), {})
