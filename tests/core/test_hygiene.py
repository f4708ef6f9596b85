"""What the code itself has to keep to."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RENDER = sorted(ROOT.glob("lora_render/**/*.py"))
SOURCES = sorted(
    [*ROOT.glob("lora_core/**/*.py"), *ROOT.glob("nodes/**/*.py"), *ROOT.glob("*.py"), *RENDER]
)
CORE = [path for path in SOURCES if "lora_core" in path.parts]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, *, at_the_top: bool = False) -> set[str]:
    """What a file imports from outside its package; without what its functions import, if asked."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def test_there_is_something_to_look_at():
    assert len(CORE) > 20


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_needs_torch_safetensors_and_nothing_else(path):
    allowed = sys.stdlib_module_names | {"torch", "safetensors", "numpy", "typing_extensions"}
    drawing = {"PIL"} if {"drawing", "cli"} & {*path.parts} else set()
    tables = {"pyarrow"} if name_of(path) == "lora_core/bulk/parquet.py" else set()
    asked = {"lora_render"} if name_of(path) == "lora_core/cli/render.py" else set()
    assert imports(path) <= allowed | drawing | tables | asked
    assert not imports(path, at_the_top=True) & asked


@pytest.mark.parametrize("path", RENDER, ids=name_of)
def test_rendering_needs_its_extra_only_when_it_runs(path):
    ours = sys.stdlib_module_names | {"lora_core"}
    pictures = {"numpy", "torch"} if path.name == "sheet.py" else set()
    assert imports(path, at_the_top=True) <= ours | pictures
    assert imports(path) <= ours | {"PIL", "numpy", "pyarrow", "ray", "torch"}


HOST = {"comfy", "folder_paths", "server", "execution", "aiohttp", "nodes"}
MODELS = {"comfy"}
TOUCHES = {
    "host/files.py": {"folder_paths"},
    "host/keep.py": {"comfy", "folder_paths"},
    "host/apply.py": MODELS,
    "host/view.py": MODELS,
    "host/progress.py": MODELS,
    "host/live.py": MODELS,
    "host/live_stack.py": MODELS,
    "host/metadata.py": MODELS,
    "host/options.py": MODELS,
    "host/adapter.py": MODELS,
    "routes.py": {"server", "aiohttp"},
    "overview.py": {"aiohttp"},
    "replies.py": {"aiohttp"},
    "notices.py": {"server"},
}
"""What of the host each file may import, beside the nodes' own interface."""


@pytest.mark.parametrize("path", [p for p in SOURCES if "lora_core" not in p.parts], ids=name_of)
def test_the_host_is_only_touched_in_few_places(path):
    allowed = (
        TOUCHES.get(path.relative_to(ROOT / "nodes").as_posix(), set())
        if "nodes" in path.parts
        else set()
    )
    assert imports(path) & HOST <= allowed


ROOMS = {path.parent.name for path in ROOT.glob("lora_core/*/__init__.py")}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_room_is_only_entered_by_its_face(path):
    """What is not in a room's ``__init__`` is its own affair."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            parts = (*above, *(node.module or "").split("."))
            if parts[0] == "lora_core" and len(parts) > 2 and parts[1] in ROOMS:
                assert package[:2] == parts[:2], ast.unparse(node)


FORBIDDEN = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
NEVER_IMPORTED = {
    "pickle",
    "subprocess",
    "socket",
    "requests",
    "urllib",
    "http",
    "ctypes",
    "shelve",
}

PROCESSES_AND_NETWORK = {
    "lora_render/server.py": {"http", "socket", "urllib"},
    "lora_render/process.py": {"socket", "subprocess"},
    "lora_render/guard.py": {"ctypes", "subprocess"},
    "lora_render/comfy.py": {"http", "socket"},
}
"""The files that start ComfyUI, and those that ask it. None of them is in the archive for ComfyUI."""


SLOW_ENOUGH = {"nodes/host/progress.py"}
"""Where a node works long enough for a progress bar, and where nothing is on a model meanwhile, so that it
can be interrupted."""


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_code_from_data_no_processes_no_network(path):
    tree = ast.parse(path.read_text())
    calls = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert not calls & FORBIDDEN
    assert not imports(path) & (NEVER_IMPORTED - PROCESSES_AND_NETWORK.get(name_of(path), set()))
    if name_of(path) not in SLOW_ENOUGH:
        assert not (attributes & {"ProgressBar", "throw_exception_if_processing_interrupted"})
    assert not {
        n.func.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and isinstance(n.func.value, ast.Name)
        and n.func.value.id == "torch"
    } & {"load", "save"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_happens_at_import(path):
    """At the top there are only imports, definitions and constants."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), ast.unparse(node)
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) in (
                "__package__",
                "TYPE_CHECKING",
                "__name__ == '__main__'",
            )
        else:
            allowed = (
                ast.Import,
                ast.ImportFrom,
                ast.FunctionDef,
                ast.AsyncFunctionDef,
                ast.ClassDef,
                ast.Assign,
                ast.AnnAssign,
            )
            assert isinstance(node, allowed), ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_and_functions_stay_small(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_the_core_is_importable_by_itself(tmp_path):
    """In a bare process, from a folder that is not the repository's."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lora_core; print(sorted(m for m in sys.modules if 'comfy' in m))"
    said = subprocess.run(
        [sys.executable, "-B", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert said.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())


def test_version_and_changelog_agree():
    version = next(
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("version")
    )
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
