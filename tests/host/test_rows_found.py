"""LoRA Rows finds the file of a row under another name by its content, and says so."""

from __future__ import annotations

import pytest

from harness.samples import pair, write
from harness.workflows import apply_lora, render
from lora_core.reading.content import content_hash
from lora_core.reading.header import identify
from tests.host.files import make_loras
from tests.host.rows import names, row, rows_give, saved, validation_error


@pytest.fixture(scope="module")
def loras(host, tmp_path_factory):
    return make_loras(host, tmp_path_factory.mktemp("loras"), "flux", 3)


@pytest.fixture
def known(host, tmp_path):
    """A file with its hash and size, as the page saves them."""
    name = "was/here.safetensors"
    file = write(tmp_path / "here.safetensors", pair("layer", 6, 8, seed=41))
    host.add_lora(file, name)
    yield row(name, hash=content_hash(identify(file)), size=file.stat().st_size)
    for folder in ("was", "now"):
        for left in (host.loras_dir / folder).glob("*"):
            left.unlink()


def move(host, old, new):
    (host.loras_dir / new).parent.mkdir(exist_ok=True)
    (host.loras_dir / old).rename(host.loras_dir / new)


def test_a_file_that_was_moved_is_found_by_its_content(host, known):
    assert names(rows_give(host, saved(known))) == ["was/here.safetensors"]
    move(host, "was/here.safetensors", "now/elsewhere.safetensors")
    assert names(rows_give(host, saved(known))) == ["now/elsewhere.safetensors"]
    move(host, "now/elsewhere.safetensors", "now/again.safetensors")
    assert names(rows_give(host, saved(known))) == ["now/again.safetensors"]


def test_hash_and_size_say_nothing_of_another_name(host, known, show):
    """As a script writes one into the row that the page has saved."""
    noted = known | {"noted": known["name"]}
    assert names(rows_give(host, saved(noted))) == [known["name"]]
    said = validation_error(host, saved(noted | {"name": "was/hare.safetensors"}))
    show(f"another name beside an old hash: {said}")
    assert "row 1: LoRA" in said
    assert "was › hare.safetensors”: there is no such file" in said
    assert "was › here.safetensors" in said  # as a close name
    move(host, known["name"], "now/elsewhere.safetensors")
    assert names(rows_give(host, saved(noted))) == ["now/elsewhere.safetensors"]
    assert "no such file" in validation_error(host, saved(noted | {"name": "was/hare.safetensors"}))


def applied(host, *lora):
    """The report of what the first output of a node gives, and its warnings."""

    def chain(graph, model, clip):
        return apply_lora(graph, [graph.add(lora[0], **lora[1]), 0], model, clip)

    told = host.run(render("flux", chain)).outputs["ApplyToModel"]
    return told["text"][0], [said for file in told["loras"] for said in file["warnings"]]


def test_a_file_found_under_another_name_is_said_in_the_report(host, loras, show):
    (host.loras_dir / "now").mkdir(exist_ok=True)
    file = host.loras_dir / loras[2]
    asked, name = "was/ink.safetensors", "now/light.safetensors"
    of_old = row(asked, hash=content_hash(identify(file)), size=file.stat().st_size)
    move(host, loras[2], name)
    try:
        text, (said,) = applied(host, "LoRARows", {"rows": saved(of_old)})
        show(said["text"])
        assert (said["code"], said["fields"]) == (
            "found_by_content",
            {"asked": asked, "name": name},
        )
        assert f"    warning: {said['text']}" in text.splitlines()
        for node, value in {
            "LoRARows": {"rows": saved(row("was/light.safetensors"))},
            "FromLoRATags": {"text": "<lora:was/light:1>", "order": "model first"},
        }.items():
            text, (said,) = applied(host, node, value)
            assert said["code"] == "found_by_basename"
            assert f"    warning: {said['text']}" in text.splitlines()
        tag = {"text": "<lora:light:1>", "order": "model first"}
        assert applied(host, "FromLoRATags", tag)[1] == []
        assert applied(host, "LoRARows", {"rows": saved(row(name))})[1] == []
    finally:
        move(host, name, loras[2])


def test_another_file_of_the_same_name_is_not_taken_for_it(host, known, tmp_path):
    """Of the same size, too."""
    move(host, "was/here.safetensors", "now/here.safetensors")
    write(tmp_path / "other.safetensors", pair("layer", 6, 8, seed=42))
    host.add_lora(tmp_path / "other.safetensors", "now/here.safetensors")
    said = validation_error(host, saved(known))
    assert "there is no such file" in said
    assert "now › here.safetensors" in said  # as a close name
    without = {key: known[key] for key in ("on", "name", "strength")}
    assert names(rows_give(host, saved(without))) == ["now/here.safetensors"]
