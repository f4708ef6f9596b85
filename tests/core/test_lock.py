"""A lock on a file: one owner at a time, until it ends."""

import errno
import subprocess
import sys

import pytest

from lora_core.lock import lock

OWNER = """
import sys
from pathlib import Path
from lora_core.lock import lock
file = Path(sys.argv[1]).open("ab")
lock(file)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_file_has_one_owner_until_it_is_closed(tmp_path):
    with (tmp_path / "lock").open("ab") as first, (tmp_path / "lock").open("ab") as second:
        assert lock(first)
        with pytest.raises(BlockingIOError):
            lock(second)
    with (tmp_path / "lock").open("ab") as third:
        assert lock(third)


def test_the_lock_of_a_process_ends_with_it(tmp_path):
    command = [sys.executable, "-c", OWNER, tmp_path / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"locked\n"
        with (tmp_path / "lock").open("ab") as file:
            with pytest.raises(BlockingIOError):
                lock(file)
            owner.kill()
            owner.wait()
            assert lock(file)


def test_what_is_written_is_where_it_was(tmp_path):
    with (tmp_path / "lock").open("ab") as file:
        file.write(b"one")
        lock(file)
        file.write(b"two")
    assert (tmp_path / "lock").read_bytes() == b"onetwo"


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is not there")
def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "lock").open("ab") as file:
        assert not lock(file)
