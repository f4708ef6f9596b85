"""One ComfyUI that renders."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace

import pytest
from PIL import Image

from harness import farm
from lora_render.comfy import Comfy, Place, prompt_id
from lora_render.item import Item, Job
from lora_render.server import Server, WorkerGoneError


@pytest.fixture(scope="session")
def fresh():
    """``fresh(ink=0.5)``: a job that no test has asked for before."""
    count = iter(range(1000, 10_000))

    def make(trouble="none", **how):
        seed = next(count)
        return farm.single(farm.item(seed, farm.scene(seed, trouble=trouble, **how), seed=seed))

    return make


def prompts(host):
    """How many prompts the host was asked for."""
    return host.log().count("got prompt")


def test_the_files_of_an_item_come_as_bytes(comfy, fresh):
    job = fresh()
    outcome = comfy.render(job)
    assert (outcome.status, outcome.failure, outcome.attempts) == ("ok", None, 1)
    assert outcome.worker == comfy.name
    (output,) = outcome.outputs
    key = prompt_id(job).replace("-", "")[:16]
    assert (output.node, output.kind, output.name) == ("12", "images", f"farm_{key}_00001_.png")
    image = Image.open(io.BytesIO(output.content))
    assert image.size == (64, 64)
    assert json.loads(image.info["prompt"])["9"]["inputs"]["seed"] == job.items[0].index
    assert outcome.seconds == outcome.finished - outcome.started > 0


def plain(color, **links):
    """A prompt of two pictures, of which one is the same in all."""
    nodes = {
        "1": ("PrimitiveString", {"value": "plot"}),
        "2": ("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": 255}),
        "3": ("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": color}),
        "4": ("SaveImage", {"images": ["2", 0], **links}),
        "5": ("SaveImage", {"images": ["3", 0], **links}),
    }
    return {node: {"class_type": kind, "inputs": inputs} for node, (kind, inputs) in nodes.items()}


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [["1", 0], "plot"], ids=["linked", "typed"])
def test_a_picture_that_is_the_same_in_all_rows_stays_that(own, prefix):
    """ComfyUI has it in its cache, and answers its name again; no other picture may have that name."""
    comfy = Comfy(own("w0"))
    try:
        for color in (1, 2, 3):
            prompt = plain(color, filename_prefix=prefix)
            outcome = comfy.render(farm.single(Item(color, {}, prompt, f"{color:064d}")))
            colors = [
                Image.open(io.BytesIO(each.content)).getpixel((0, 0)) for each in outcome.outputs
            ]
            assert colors == [(0, 0, 255), (0, 0, color)]
    finally:
        comfy.stop()


def test_what_an_earlier_run_has_asked_for_is_not_run_again(comfy, host, fresh):
    job = fresh()
    first = comfy.render(job)
    asked = prompts(host)
    assert prompt_id(job) in comfy.holds()
    assert Comfy(Place("again", f"http://127.0.0.1:{host.port}")).render(job) == replace(
        first, worker=first.worker.replace("w0", "again")
    )
    assert prompts(host) == asked


def test_what_was_rendered_for_another_folder_is_rendered_anew(comfy, host, fresh):
    """Its key may know no more of a file than its name."""
    job = fresh()
    first = comfy.render(replace(job, folder="one"))
    asked = prompts(host)
    second = comfy.render(replace(job, folder="two"))
    assert prompts(host) == asked + 1
    assert first.status == second.status == "ok"
    assert first.outputs[0].name != second.outputs[0].name


def test_what_is_still_in_the_queue_is_waited_for(comfy, host, fresh):
    """An earlier run has queued it, and was killed."""
    job = fresh()
    body = {"prompt": job.prompt, "prompt_id": prompt_id(job)}
    before = prompts(host)
    host._post("/prompt", body)
    assert comfy.render(job).status == "ok"
    assert prompts(host) == before + 1


@pytest.fixture
def ends_meanwhile(monkeypatch, host):
    """``ends_meanwhile(job)``: from now on, the queue is answered for only when that job has ended."""
    get = Server.get

    def wait_for(job):
        def late(server, path):
            if path == "/queue":
                host.result(prompt_id(job))
            return get(server, path)

        monkeypatch.setattr(Server, "get", late)

    return wait_for


def test_what_ends_while_it_is_looked_for_is_not_run_again(comfy, host, fresh, ends_meanwhile):
    job = fresh()
    before = prompts(host)
    host._post("/prompt", {"prompt": job.prompt, "prompt_id": prompt_id(job)})
    ends_meanwhile(job)
    assert comfy.render(job).status == "ok"
    assert prompts(host) == before + 1


def test_what_ends_while_it_is_asked_for_is_held(comfy, host, fresh, ends_meanwhile):
    job = fresh()
    host._post("/prompt", {"prompt": job.prompt, "prompt_id": prompt_id(job)})
    ends_meanwhile(job)
    assert prompt_id(job) in comfy.holds()


def test_an_item_whose_files_are_gone_is_run_again(comfy, host, fresh):
    """Though everything of it is in ComfyUI's cache."""
    job = fresh()
    first = comfy.render(job)
    (host.output_dir / first.outputs[0].name).unlink()
    again = comfy.render(job)
    assert again.status == "ok"
    assert again.outputs[0].name != first.outputs[0].name
    assert pixels(again) == pixels(first)


def pixels(outcome):
    return Image.open(io.BytesIO(outcome.outputs[0].content)).tobytes()


def test_a_node_that_raises_is_named(comfy, fresh):
    job = fresh("raise")
    for _ in range(2):  # a failed one is tried again when it is asked for again
        outcome = comfy.render(job)
        assert (outcome.status, outcome.outputs) == ("error", ())
        assert outcome.failure.node == "13"
        assert outcome.failure.class_type == "TKTrouble"
        assert outcome.failure.message == "RuntimeError: this item fails"


def test_a_prompt_that_is_refused_says_why(comfy, fresh):
    job = fresh()
    prompt = json.loads(json.dumps(job.prompt))
    prompt["9"]["inputs"]["sampler_name"] = "none such"
    outcome = comfy.render(farm.single(farm.item(0, prompt)))
    assert (outcome.status, outcome.failure.node) == ("invalid", "9")
    assert outcome.failure.class_type == "KSampler"
    assert "none such" in outcome.failure.message


def test_a_prompt_of_which_a_part_would_run_is_refused(comfy, host, fresh):
    prompt = json.loads(json.dumps(fresh("wait").prompt))
    prompt["14"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}
    job = farm.single(farm.item(0, prompt))
    outcome = comfy.render(job)
    assert (outcome.status, outcome.failure.node) == ("invalid", "14")
    assert prompt_id(job) not in str(host._get("/queue"))
    entry = host._get(f"/history/{prompt_id(job)}").get(prompt_id(job))
    assert entry is None or entry["status"]["status_str"] == "error"


def test_a_prompt_that_saves_nothing_has_failed(comfy, fresh):
    prompt = json.loads(json.dumps(fresh().prompt))
    prompt["12"] = {"class_type": "PreviewImage", "inputs": {"images": ["11", 0]}}
    outcome = comfy.render(farm.single(farm.item(0, prompt)))
    assert (outcome.status, outcome.outputs) == ("no output", ())


def test_an_item_that_takes_too_long_is_interrupted_and_the_next_one_runs(comfy, host, fresh):
    hanging, next_one = fresh("wait"), fresh()
    outcome = Comfy(Place("strict", f"http://127.0.0.1:{host.port}", limit=4)).render(hanging)
    assert (outcome.status, outcome.failure.message) == (
        "timeout",
        "It ran for longer than 4 seconds.",
    )
    assert comfy.render(next_one).status == "ok"


def test_somebody_who_interrupts_it_is_told_of(comfy, host, fresh):
    job = fresh("wait")
    timer = threading.Timer(1.5, lambda: host._post("/interrupt", {}))
    timer.start()
    outcome = comfy.render(job)
    timer.join()
    assert (outcome.status, outcome.failure.message) == ("interrupted", "Somebody interrupted it.")


def test_a_batch_is_one_prompt(comfy, fresh):
    items = tuple(fresh().items[0] for _ in range(2))
    prompt = json.loads(json.dumps(items[0].prompt))
    prompt["8"]["inputs"]["batch_size"] = 2
    outcome = comfy.render(Job(items, prompt))
    assert [output.name[-11:] for output in outcome.outputs] == ["_00001_.png", "_00002_.png"]


def test_stopping_takes_back_what_is_under_way_and_nothing_of_others(host, fresh):
    comfy = Comfy(Place("w0", f"http://127.0.0.1:{host.port}"))
    mine, other = fresh("wait"), fresh()
    gone = []

    def render():
        try:
            comfy.render(mine)
        except WorkerGoneError as error:
            gone.append(str(error))

    worker = threading.Thread(target=render)
    worker.start()
    host.wait_until(lambda: prompt_id(mine) in comfy.holds(), "start")
    host._post("/prompt", {"prompt": other.prompt, "prompt_id": prompt_id(other)})
    comfy.stop()
    worker.join()
    assert gone == ["It was stopped."]
    assert host.result(prompt_id(other)).status == "success"
    assert host.result(prompt_id(mine)).status == "error"
