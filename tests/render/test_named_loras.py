"""Which LoRAs a prompt names."""

import pytest

from lora_render.named_loras import NamedLora, loras_of

TWO = {"rows": [{"name": "ink", "strength": 0.5}, {"name": "light", "on": False}]}
OWN = {"rows": [{"name": "ink", "strength": 1, "strength_clip": 0.25}]}
PAIR = {"rows": [{"name": "high", "strength": 1, "low": {"name": "low", "strength": 0.5}}]}
LINKED = {"rows": [{"name": "ink", "strength": 1, "link": "strength_1"}]}


@pytest.mark.parametrize(
    ("kind", "inputs", "loras"),
    [
        ("LoadLoRA", {"lora_name": "ink", "strength": 0.5}, [("ink", 0.5, 0.5)]),
        (
            "LoraLoader",
            {"lora_name": "ink", "strength_model": 1, "strength_clip": 0.5},
            [("ink", 1, 0.5)],
        ),
        ("LoraLoaderModelOnly", {"lora_name": "ink", "strength_model": 1}, [("ink", 1, None)]),
        ("LoadLoRA", {"lora_name": "ink", "strength": 10**400}, [("ink", None, None)]),
        ("LoadLoRA", {"lora_name": "ink", "strength": ["1", 0]}, [("ink", None, None)]),
        ("LoadLoRA", {"lora_name": ["1", 0], "strength": 1}, []),
        ("LoRARows", {"rows": TWO}, [("ink", 0.5, 0.5)]),
        ("LoRARows", {"rows": OWN}, [("ink", 1, 0.25)]),
        ("LoRARows", {"rows": PAIR}, [("high", 1, 1), ("low", 0.5, 1)]),
        ("LoRARows", {"rows": LINKED}, [("ink", None, None)]),
        ("LoRARows", {"rows": "no rows"}, []),
        ("FromLoRATags", {"text": "hills <lora:ink:0.5:1>"}, [("ink", 0.5, 1)]),
        ("FromLoRATags", {"text": "<lora:ink:x>"}, []),
        ("KSampler", {"seed": 1}, []),
    ],
)
def test_a_lora_is_named_with_its_strengths(kind, inputs, loras):
    prompt = {"1": {"class_type": kind, "inputs": inputs}}
    assert loras_of(prompt) == tuple(NamedLora(*lora) for lora in loras)
