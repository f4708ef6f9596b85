"""What a host too old for us is told."""

import sys
from types import SimpleNamespace

import pytest

from entrypoint import refuse_old_host


@pytest.fixture
def host_of_version(monkeypatch):
    def pretend(version):
        monkeypatch.setitem(sys.modules, "comfyui_version", SimpleNamespace(__version__=version))

    return pretend


@pytest.mark.parametrize("version", ["0.27.9", "0.3.75", "0.28"])
def test_an_old_host_gets_one_clear_sentence(host_of_version, version):
    host_of_version(version)
    with pytest.raises(ImportError) as refused:
        refuse_old_host()
    assert str(refused.value) == f"LoRA Algebra needs ComfyUI 0.28.0 or newer; this is {version}."


@pytest.mark.parametrize("version", ["0.28.0", "0.28.0-rc1", "0.30.2", "1.0.0"])
def test_others_are_welcome(host_of_version, version):
    host_of_version(version)
    refuse_old_host()
