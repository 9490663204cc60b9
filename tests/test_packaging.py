"""What is shipped: wheel, sdist, licences, samples, sizes."""

from __future__ import annotations

import ast
import csv
import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import videocolor

PRIVATE = re.compile(r"/(?:work|farm|root|home)/\w|\.venv/lib/")
"""Folders of one machine, which no file may name."""


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built with the hatchling at hand."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return folder


def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


@pytest.mark.slow
def test_wheel_holds_package_configs_and_licences(built: Path, root: Path) -> None:
    wheel = next(built.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert wheel.name.startswith(f"videocolor-{videocolor.__version__}-")
    for path in (root / "configs").glob("**/*.[xy]*ml"):
        assert f"videocolor/configs/{path.relative_to(root / 'configs').as_posix()}" in names
    for weights in (root / "videocolor" / "models" / "weights").rglob("*.*"):
        assert weights.relative_to(root).as_posix() in names
    assert "videocolor/py.typed" in names
    for template in (root / "videocolor" / "pages" / "templates").iterdir():
        assert f"videocolor/pages/templates/{template.name}" in names
    assert {name.split("/")[0] for name in names} == {"videocolor", f"videocolor-{videocolor.__version__}.dist-info"}
    for licence in ("LICENSE", "NOTICE", "THIRD_PARTY_NOTICES.md"):
        assert any(name.endswith(f"licenses/{licence}") for name in names)


@pytest.mark.slow
def test_presets_are_found_in_an_installed_wheel(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(tmp_path)
    program = "from videocolor.presets import config_root as r, list_presets as p; print(r()); print(len(p()))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "."},
    )
    folder, count = result.stdout.splitlines()
    assert Path(folder).resolve() == (tmp_path / "videocolor" / "configs").resolve()
    assert int(count) >= 7


def test_sdist_is_whole(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"README.md", "constraints.txt", "configs/colorize/default.yaml", "tests/cli/test_cli.py"} <= names
    assert {"samples/bw_his_girl_friday_1940.mp4", "pipelines/hold_back.py", "LICENSE", "CHANGELOG.md"} <= names


def test_project_table(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["scripts"] == {"videocolor": "videocolor.cli:main"}
    extras = {"dev", "web", "ray", "onnx", "openvino", "published", "train", "shots", "shards", "archive"}
    assert extras <= set(project["optional-dependencies"])
    optional = [name for names in project["optional-dependencies"].values() for name in names]
    needed = " ".join([*project["dependencies"], *optional])
    for foreign in ("torchvision", "timm", "lpips", "piq"):
        assert foreign not in needed, "cannot be installed beside PyTorch's CPU build"


def test_the_version_is_stated_alike(root: Path) -> None:
    """The package, the citation and the newest section of the changelog."""
    from videocolor import __version__

    citation = (root / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in citation
    assert (root / "CHANGELOG.md").read_text().split("\n## ")[1].startswith(f"{__version__} (")


def test_torch_is_pinned_for_installers(root: Path) -> None:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["torch==2.13.0"]


def test_weights_are_there_and_small(root: Path) -> None:
    weights = list((root / "videocolor" / "models" / "weights").rglob("*.*"))
    assert {"hint.safetensors", "keyframe.safetensors"} <= {path.name for path in weights}, "the default networks"
    assert sum(path.stat().st_size for path in weights) <= 32e6
    published = [path for path in weights if path.parent.name == "published"]
    assert {"p", "h2", "h4", "h5_cured", "r_lite0", "f"} <= {path.stem for path in published}
    assert sum(path.stat().st_size for path in published) <= 8e6


def test_samples_are_what_their_list_says(samples: Path) -> None:
    rows = list(csv.DictReader((samples / "manifest.csv").read_text().splitlines()))
    assert {row["file"] for row in rows} == {path.name for path in samples.glob("*.mp4")}
    readme = (samples / "README.md").read_text()
    for row in rows:
        assert hashlib.sha256((samples / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert row["sha256"] in readme and row["source"] in readme and row["licence"]
    assert sum(path.stat().st_size for path in samples.iterdir()) <= 9_000_000


def test_licence_texts(root: Path) -> None:
    licence = (root / "LICENSE").read_text()
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence
    notices = (root / "THIRD_PARTY_NOTICES.md").read_text()
    for word in ("x264", "x265", "GPL", "PyAV"):
        assert word in notices
    for name in re.findall(r'^    "([a-z0-9-]+)', _core_table(root), re.MULTILINE):
        shown = {"av": "av (PyAV)", "pyyaml": "PyYAML"}.get(name, name)
        assert f"| {shown} |" in notices, f"{name} is a dependency without a notice"


def _core_table(root: Path) -> str:
    text = (root / "pyproject.toml").read_text()
    return text[text.index("\ndependencies = [") : text.index("[project.optional-dependencies]")]


def test_no_file_names_a_machine(root: Path) -> None:
    for path in tracked(root):
        if path.suffix in (".md", ".py", ".toml", ".yaml", ".txt", ".cfg") or path.parent.name == ".ci":
            found = PRIVATE.search(path.read_text(encoding="utf-8"))
            assert found is None or path == Path(__file__).resolve(), f"{path}: {found and found.group()}"


def test_modules_stay_small(root: Path) -> None:
    long = {
        str(path.relative_to(root)): lines
        for path in (root / "videocolor").glob("**/*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_functions_stay_short(root: Path) -> None:
    for path in (root / "videocolor").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name}: {lines} lines"


_WINDOWS = """
import sys
from types import ModuleType
import zoneinfo
import av, click, cv2, multiprocessing.connection, onnxruntime, pydantic, safetensors.numpy
import skimage.color, sqlite3, torch, tqdm
from pydantic import BaseModel
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
sys.modules["msvcrt"] = ModuleType("msvcrt")
sys.platform = "win32"
import videocolor.batch.run, videocolor.cli.colorize, videocolor.colorize, videocolor.shards.work
"""


@pytest.mark.slow
def test_the_default_path_imports_without_fcntl() -> None:
    """Modules that Windows does not have are hidden; other packages are imported before, as they are those of here."""
    done = subprocess.run([sys.executable, "-c", _WINDOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_dependency_is_imported(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    stated = [
        *project["dependencies"],
        *(name for names in project["optional-dependencies"].values() for name in names),
    ]
    names = {re.split(r"[^\w-]", line)[0].lower().replace("-", "_") for line in stated}
    code = "\n".join(
        path.read_text()
        for folder in ("videocolor", "tests", "benchmarks", "pipelines")
        for path in (root / folder).rglob("*.py")
    )
    imported = set(re.findall(r'\b(?:importorskip\("|import_module\("|import |from )(\w+)', code))
    unused = {name for name in names if _IMPORTED_AS.get(name, name) not in imported} - _RUN
    assert unused == set()


_IMPORTED_AS = {
    "c2pa_python": "c2pa",
    **{"opencv_python": "cv2", "pillow": "PIL", "pyyaml": "yaml"},
    **{"scikit_image": "skimage", "scikit_learn": "sklearn"},
}
_RUN = {
    "hatchling",
    "import_linter",
    "mkdocs_click",
    "mkdocs_material",
    "mkdocstrings",
    "mypy",
    "pre_commit",
    "pytest_timeout",
    "pytest_xdist",
    "ruff",
    "types_pyyaml",
    "onnxscript",
    "tensorboard",
}
"""Run by name, or imported by torch."""
