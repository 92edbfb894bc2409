"""A data set that the package does not know, with every option of mpt-preprocess.

Say that a lab keeps its clips as <root>/<subject>/<clip>_<emotion>/frame_0001.png, 120 frames per second, without
a sheet:

    python examples/add_a_dataset.py check mylab --root recordings
    python examples/add_a_dataset.py mylab --root recordings --faces auto

Inside the package, the function is a file of preprocess/datasets/, and the line below it an entry of `ADAPTERS` in
find.py, from which the subcommand is made.
"""

from pathlib import Path

from preprocess.cli import add_dataset, main
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.find import ADAPTERS, DataSet

FACTS = Facts(fps=120.0)


def mylab(root: Path, *, corrected: bool = True) -> Discovery:
    """List the clips; `collect` reads each, or says why it cannot be used: none is dropped in silence."""
    found = Discovery("mylab", find_root(root, "mylab"), licence_notice="Recordings of MyLab: for members only.")
    folders = enumerate(sorted(root.glob("*/*_*")), 1)
    collect(found, (_listed(count, folder) for count, folder in folders), FACTS, corrected)
    return found


def _listed(count: int, folder: Path) -> Listed:
    """A folder is a clip from its first frame to its last."""
    clip, _, emotion = folder.name.rpartition("_")
    return Listed(count, folder.parent.name, clip, folder, emotion, whole=True)


ADAPTERS["mylab"] = DataSet(mylab, "Recordings of MyLab: one folder per clip, its emotion in its name.")
add_dataset("mylab")

if __name__ == "__main__":
    main()
