"""A ComfyUI of our own that does not start. The programs here are real ones that end, or listen and answer badly."""

import json
import sys

import pytest

from lora_render.process import Own, Process
from lora_render.server import WorkerGoneError


def started(tmp_path, script, **how):
    """Starts a ``main.py`` with that content."""
    (tmp_path / "comfy").mkdir()
    (tmp_path / "comfy" / "main.py").write_text(script)
    own = Own(str(tmp_path / "comfy"), sys.executable, str(tmp_path / "out"), **how)
    Process(own, "w0").start()


def test_a_comfyui_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path):
    with pytest.raises(WorkerGoneError, match=r"does not start. Its log .*comfyui.log.*\nno torch"):
        started(tmp_path, "raise SystemExit('no torch')")
    assert (tmp_path / "out" / "w0" / "comfyui.log").is_file()


def test_a_folder_without_comfyui_is_told(tmp_path):
    own = Own(str(tmp_path / "none"), sys.executable, str(tmp_path / "out"))
    with pytest.raises(WorkerGoneError, match=r"can't open file .*none/main.py"):
        Process(own, "w0").start()


def test_a_python_that_is_not_there_is_told(tmp_path):
    own = Own(str(tmp_path), str(tmp_path / "python"), str(tmp_path / "out"))
    with pytest.raises(WorkerGoneError, match="No such file or directory"):
        Process(own, "w0").start()


def test_a_folder_that_cant_be_made_is_told(tmp_path):
    (tmp_path / "out").write_text("in the way")
    own = Own(str(tmp_path), sys.executable, str(tmp_path / "out"))
    with pytest.raises(WorkerGoneError, match="can't be started"):
        Process(own, "w0").start()


SAY = """
import json, os, sys
print("SAID", json.dumps([sys.argv[1:], {**os.environ}, os.getcwd()]))
raise SystemExit(1)
"""


def test_what_it_is_started_with(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.chdir(tmp_path)
    environment = {"OMP_NUM_THREADS": None, "PYTHONUNBUFFERED": "1"}
    (tmp_path / "comfy").mkdir()
    (tmp_path / "comfy" / "main.py").write_text(SAY)
    own = Own("comfy", sys.executable, "out", ("--cpu",), environment)
    with pytest.raises(WorkerGoneError, match="SAID") as error:
        Process(own, "w0").start()
    last = str(error.value).splitlines()[-1]
    arguments, variables, folder = json.loads(last.removeprefix("SAID "))
    where = tmp_path / "out" / "w0"
    assert folder == str(where)
    assert arguments[:3] == ["--listen", "127.0.0.1", "--port"]
    assert arguments[-1] == "--cpu"
    for kind in ("output", "temp", "user"):
        assert arguments[arguments.index(f"--{kind}-directory") + 1] == str(where / kind)
    assert variables["CUDA_VISIBLE_DEVICES"] == "3"
    assert not {"PYTHONPATH", "RAY_AUTH_TOKEN", "OMP_NUM_THREADS"} & {*variables}


STRANGER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS); self.end_headers()
        self.wfile.write(b'{"system": {"argv": ["main.py", "--user-directory", "/elsewhere/user"]}}')
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.mark.parametrize("status", [200, 404])
def test_somebody_elses_server_on_our_port_is_not_taken_for_ours(tmp_path, status):
    with pytest.raises(WorkerGoneError, match="does not start"):
        started(tmp_path, STRANGER.replace("STATUS", str(status)))
