"""What is asked of a host, and what of its answers is believed. The hosts here are real servers that answer badly."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lora_core.errors import LoraInputError
from lora_render import answers, server
from lora_render.comfy import Comfy, Place, prompt_id
from lora_render.server import Address, NoAnswerError, Server, WorkerGoneError


@contextlib.contextmanager
def serving(answer):
    """A server that calls ``answer(handler)`` for each request, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


def saying(status, content=b"", **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8188", Address(False, "127.0.0.1", 8188, "")),
        ("https://Render.Example/comfy/", Address(True, "render.example", None, "/comfy")),
        ("http://[::1]:8188/", Address(False, "::1", 8188, "")),
    ],
)
def test_an_address_is_a_host_and_a_prefix(url, address):
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8188",
        "ftp://host",
        "file:///etc/passwd",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://user:secret@host",
        "http://host/?a=b",
        "http://host/#x",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(LoraInputError) as error:
        Server(url)
    assert (error.value.key, error.value.found) == ("host", url)


def test_the_prefix_comes_before_each_path():
    def answer(handler):
        saying(200, json.dumps(handler.path).encode())(handler)

    with serving(answer) as url:
        assert Server(f"{url}/render/").get("/queue") == "/render/queue"
        content = Server(f"{url}/render/").saved_file("a b&c.png", "x/y")
        assert content == b'"/render/view?filename=a+b%26c.png&subfolder=x%2Fy&type=output"'


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_host_that_sends_us_elsewhere_is_not_followed(status):
    asked = []
    with contextlib.ExitStack() as running:
        other = running.enter_context(serving(lambda handler: asked.append(handler.path)))
        url = running.enter_context(serving(saying(status, Location=f"{other}/queue")))
        with pytest.raises(WorkerGoneError, match=f"status {status}"):
            Server(url).get("/queue")
        assert Server(url).saved_file("x.png", "") is None
        assert Server(url).post("/prompt", {})[0] == status
    assert not asked


def test_no_answer_is_read_beyond_its_bound(monkeypatch):
    monkeypatch.setattr(server, "JSON_BYTES", 1000)
    monkeypatch.setattr(server, "FILE_BYTES", 2000)
    with serving(saying(200, b'"' + b"x" * 1001 + b'"')) as url:
        with pytest.raises(WorkerGoneError, match="more than 1,000 bytes"):
            Server(url).get("/history")
        with pytest.raises(WorkerGoneError, match="more than 1,000 bytes"):
            Server(url).post("/prompt", {})
        assert len(Server(url).saved_file("x.png", "")) == 1003
    with serving(saying(200, b"x" * 2001)) as url:
        assert Server(url).saved_file("x.png", "") is None


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_is_cut_on_its_way_is_none(chunked):
    """Half a picture is not the picture, and half a list may be whole in a moment."""
    headers = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "100000"}

    def cut(handler):
        handler.protocol_version = "HTTP/1.1"
        saying(200, b"20\r\n" * chunked + b'{"queue_running": [', **headers)(handler)
        handler.close_connection = True

    with serving(cut) as url:
        with pytest.raises(NoAnswerError):
            Server(url).saved_file("x.png", "")
        with pytest.raises(NoAnswerError):
            Server(url).get("/queue")


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte_is_not_waited_for_forever(monkeypatch, first):
    """In its first line, in its headers, or after them."""
    monkeypatch.setattr(server, "_JSON_SECONDS", 0.3)
    ended, waited_for = threading.Event(), threading.Event()

    def drip(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(first)
            for _ in range(1000):
                if ended.wait(0.02):
                    return
                handler.wfile.write(b"x")
            waited_for.set()

    with serving(drip) as url:
        with pytest.raises((NoAnswerError, WorkerGoneError)):
            Server(url).get("/queue")
        ended.set()
        assert not waited_for.is_set()


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_something_else_than_json_ends_the_worker(content):
    with serving(saying(200, content)) as url, pytest.raises(WorkerGoneError, match="than JSON"):
        Server(url).get("/queue")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_before_a_host_that_starts_is_asked_again(status):
    with serving(saying(status)) as url, pytest.raises(NoAnswerError):
        Server(url).get("/queue")


def test_a_host_that_is_not_there_is_asked_again():
    with serving(saying(200)) as url:
        pass
    with pytest.raises(NoAnswerError):
        Server(url).get("/queue")
    with pytest.raises(WorkerGoneError, match="does not answer"):
        Comfy(Place("w0", url, patience=0)).ready()


@pytest.mark.parametrize("answer", [None, [[]], {"queue_running": [1, [2]]}])
def test_answers_of_any_shape_are_taken_as_nothing(answer, make_job):
    """Whatever a host says, its worker gives an outcome or is gone."""
    content = json.dumps(answer).encode()
    with serving(saying(200, content)) as url:
        comfy = Comfy(Place("w0", url, patience=1))
        with contextlib.suppress(WorkerGoneError):
            outcome = comfy.render(make_job(0))
            assert outcome.status == "lost"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"status": None, "outputs": None},
        {"status": {"messages": [1, [], ["x"], ["execution_error", 1], [[], {}]]}},
        {"status": {"messages": [["execution_error", {"exception_message": 3}]]}},
        {"status": {"messages": [["execution_start", {"timestamp": "soon"}]]}},
        *(
            {"status": {"messages": [[f"execution_{what}", {"timestamp": value}]]}}
            for what, value in (("start", -1), ("success", 1e300), ("success", float("nan")))
        ),
        {"outputs": {"1": {"images": [1, {"filename": 2, "type": "output"}]}, "2": 3}},
        {"outputs": {"1": {"images": [{"filename": "x", "type": "output", "subfolder": 1}]}}},
        {"outputs": {"1": {"images": [{"filename": "x", "type": "temp"}], "text": ["x"]}}},
    ],
)
def test_entries_of_any_shape_are_read(entry):
    assert not answers.succeeded(entry)
    assert answers.saved_names(entry) == []
    assert answers.failure_of(entry).status == "error"
    assert answers.times(entry).seconds is None


def test_a_refusal_names_the_node_and_every_reason():
    errors = [{"message": "Value too big", "details": "seed"}, {"message": "Missing"}]
    nodes = {"9": {"errors": errors, "class_type": "KSampler"}}
    refused = answers.refusal(400, {"error": {"message": "invalid"}, "node_errors": nodes})
    assert refused.status == "invalid"
    assert refused.failure.message == "Value too big seed; Missing"
    assert (refused.failure.node, refused.failure.class_type) == ("9", "KSampler")
    both = answers.refusal(400, {"node_errors": nodes | {"12": nodes["9"]}}).failure.message
    assert both.startswith("9: Value too big seed; 9: Missing; 12: ")
    assert answers.refusal(413, None).failure.message == "ComfyUI answers with status 413."


def test_files_come_node_by_node_in_the_order_of_the_batch():
    def image(name):
        return {"filename": name, "subfolder": "s", "type": "output"}

    outputs = {"12": {"images": [image("c")]}, "9": {"images": [image("b"), image("a")]}}
    found = answers.saved_names({"outputs": outputs})
    assert [(each.node, each.name) for each in found] == [("9", "b"), ("9", "a"), ("12", "c")]


def rendering(*names, node="9"):
    """A host that has rendered whatever it is asked for; it says that it has saved files of these names."""
    images = [{"filename": name, "subfolder": "", "type": "output"} for name in names]
    entry = {"status": {"status_str": "success"}, "outputs": {node: {"images": images}}}

    def answer(handler):
        _, _, identity = handler.path.partition("/history/")
        content = b"pixels" if "/view?" in handler.path else json.dumps({identity: entry}).encode()
        saying(200, content)(handler)

    return serving(answer)


@pytest.mark.parametrize("name", ["x" * 5000, "\ud800.png", "a\0b.png", "a\x1bb.png"])
def test_a_name_that_is_none_is_not_asked_for(name, make_job):
    with rendering(name) as url:
        outcome = Comfy(Place("w0", url)).render(make_job(0))
    assert (outcome.status, outcome.outputs) == ("no output", ())
    assert len(outcome.failure.message) < 2100


def test_a_host_that_has_saved_endless_files_is_not_believed(make_job):
    with rendering(*map(str, range(10_001))) as url:
        outcome = Comfy(Place("w0", url)).render(make_job(0))
    assert outcome.failure.message == "It has saved more than 10,000 files."


def test_little_is_kept_of_what_a_host_calls_its_nodes(make_job):
    with rendering("x.png", node="\ud800" * 5000) as url:
        (output,) = Comfy(Place("w0", url)).render(make_job(0)).outputs
    assert (output.name, output.content) == ("x.png", b"pixels")
    assert len(output.node) < 250
    assert output.node.encode()
    failed = answers.failed("error", "it fails", "9" * 5000, None)
    assert len(failed.failure.node) < 250


def test_of_a_history_of_huge_workflows_fewer_entries_are_asked_for(monkeypatch):
    """Such a host is not given up."""

    def answer(handler):
        _, _, count = handler.path.partition("/history?max_items=")
        entries = {f"id {number}": {"prompt": "x" * 100} for number in range(int(count or 0))}
        saying(200, json.dumps(entries).encode())(handler)

    with serving(answer) as url:
        for most, held in ((10**6, 256), (10_000, 32), (1000, 4), (100, 0)):
            monkeypatch.setattr(server, "JSON_BYTES", most)
            assert len(Comfy(Place("w0", url)).holds()) == held


def test_what_a_host_says_of_its_nodes_is_what_it_should_be():
    """Nodes that describe themselves badly are known without what is bad."""
    said = {
        "A": None,
        "B": {"input": {"required": {"seed": [], "steps": ["INT"]}, "optional": None}},
        "C": {"input": [], "output": "MODEL"},
    }
    assert answers.described(said) == {
        "A": {"input": {}, "output": ()},
        "B": {"input": {"required": {"steps": ["INT"]}, "optional": {}}, "output": ()},
        "C": {"input": {}, "output": ()},
    }
    assert answers.described([]) == {}


def test_what_an_earlier_run_takes_back_just_now_is_asked_for_again(make_job):
    """The host still has its prompt when it is asked, and says later that it was interrupted."""
    job, asked = make_job(0), []
    identity = prompt_id(job)
    interrupted = {"messages": [["execution_interrupted", {"node_id": "1"}]]}
    done = {"status_str": "success", "messages": []}

    def answer(handler):
        if handler.path == "/prompt":
            asked.append(handler.path)
        waits = not asked and answer.looks < 2
        answer.looks += handler.path == "/queue"
        entry = {"status": done if asked else interrupted, "outputs": {}}
        known = {
            "/queue": {"queue_running": [[0, identity, {}, {}, []]] if waits else []},
            f"/history/{identity}": {} if waits else {identity: entry},
        }
        saying(200, json.dumps(known.get(handler.path, {})).encode())(handler)

    answer.looks = 1
    with serving(answer) as url:
        outcome = Comfy(Place("w0", url)).render(job)
    assert (outcome.status, asked) == ("no output", ["/prompt"])
