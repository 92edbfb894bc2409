"""What the wheel and the source archive hold, and which package needs which library.

Archives are built from a copy of the tree. Imports happen in fresh interpreters where what must not be needed cannot be
imported; the row that loads PyTorch is slow, and `lint-imports` holds most of it.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from commands import COMMANDS

from data_cache import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("data_cache", "preprocess", "train")
STEM = f"motion_prompt_tuning-{__version__}"
BESIDE = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"}
"""What building needs beside the packages."""


def package_files() -> set[str]:
    """What has to be installed: the code, and what the code reads."""
    paths = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*")]
    return {path.as_posix() for path in paths if path.suffix in (".py", ".typed", ".j2", ".js", ".css")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both archives, made from a tree in which a user has worked."""
    tree = tmp_path_factory.mktemp("tree")
    for name in BESIDE:
        shutil.copy(ROOT / name, tree)
    for package in (*PACKAGES, "tests", "examples"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for made in ("data_cache/casme2.h5", "data_cache/casme2.h5.parts/a.h5", "runs/demo/config.json", "datasets/x.jpg"):
        (tree / made).parent.mkdir(parents=True, exist_ok=True)
        (tree / made).write_text("licensed")
    build = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    done = subprocess.run(build, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tree / "dist"


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_three_packages(built: Path) -> None:
    with zipfile.ZipFile(built / f"{STEM}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        metadata = message_from_string(wheel.read(f"{STEM}.dist-info/METADATA").decode())
        entry_points = wheel.read(f"{STEM}.dist-info/entry_points.txt").decode()
    info = {name for name in names if name.startswith(f"{STEM}.dist-info/")}
    assert names - info == package_files()
    assert {*(f"{package}/py.typed" for package in PACKAGES), "data_cache/explore/page.html.j2"} <= names
    assert "data_cache/explore/page.js" in names
    assert f"{STEM}.dist-info/licenses/LICENSE" in info
    assert metadata["License-Expression"] == "MIT" and metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()
    for program, module in COMMANDS.items():
        assert f"{program} = {module}:main" in entry_points and f"{module.replace('.', '/')}.py" in names


@pytest.mark.slow
def test_the_source_archive_holds_them_and_what_building_needs(built: Path) -> None:
    with tarfile.open(built / f"{STEM}.tar.gz") as archive:
        names = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    assert names == package_files() | BESIDE | {"PKG-INFO"}


HEAVY = "torch timm cv2 joblib scipy sklearn openpyxl matplotlib"
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
import {modules}
"""


def import_without(modules: str, blocked: str) -> subprocess.CompletedProcess[str]:
    code = BLOCKER.format(blocked=blocked.split(), modules=modules.replace(" ", ", "))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("modules", "blocked"),
    [
        (
            "data_cache.write.shards data_cache.read.validate data_cache.protocols.protocol",
            f"preprocess train typer {HEAVY}",
        ),
        ("preprocess.job.build preprocess.cli", "train torch timm sklearn"),
        ("preprocess.datasets.casme2", "train torch joblib"),
        pytest.param("train.job train.cli", "preprocess cv2 joblib openpyxl matplotlib", marks=pytest.mark.slow),
        ("train.report.build", "preprocess torch timm cv2"),
        ("train.results.metrics train.results.summary train.results.run_folder", "torch timm sklearn h5py"),
        pytest.param(" ".join(COMMANDS.values()), HEAVY, id="help"),
    ],
)
def test_a_package_needs_no_other(modules: str, blocked: str) -> None:
    done = import_without(modules, blocked)
    assert done.returncode == 0, done.stderr


def test_the_block_itself_works() -> None:
    assert "h5py is blocked" in import_without("data_cache.write.shards", "h5py").stderr
