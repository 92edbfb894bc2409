"""The direction of imports, in fresh interpreters where what must not be needed cannot be imported.

The row that loads PyTorch is slow; `lint-imports` holds most of it.
"""

import subprocess
import sys

import pytest
from commands import COMMANDS

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
