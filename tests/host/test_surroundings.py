"""The pack beside another copy of itself, and without a server."""

from __future__ import annotations

import subprocess
import textwrap

import pytest

from harness.host import PACKS, REPOSITORY, Host
from tests.host.test_route import OURS

pytestmark = pytest.mark.slow


def test_two_copies_of_the_pack_do_not_keep_the_host_from_starting(
    host_install, models_dir, tmp_path
):
    packs = {**PACKS, "lora-algebra-again": REPOSITORY}
    with Host(host_install, tmp_path, models_dir, (), packs) as host:
        ours = [
            path for method, path in host.routes() if "lora_algebra" in path and method == "GET"
        ]
    assert len(ours) == len({*ours}) == 2 * len(OURS)


def test_without_a_server_there_is_no_route_and_an_error_is_what_it_is(host_install, tmp_path):
    (tmp_path / "pack").symlink_to(REPOSITORY, target_is_directory=True)
    script = f"""
        import sys
        sys.path[:0] = [{str(host_install.path)!r}, {str(tmp_path)!r}]
        from comfy.cli_args import args
        args.cpu = True
        from pack.lora_core.errors import LoraError
        from pack.nodes.notices import report_refusals
        from pack.nodes.routes import add_routes
        add_routes()
        try:
            with report_refusals():
                raise LoraError("no such file")
        except LoraError as error:
            print(error)
    """
    command = [host_install.python, "-c", textwrap.dedent(script)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1:] == ["no such file"], ran.stderr[-2000:]
