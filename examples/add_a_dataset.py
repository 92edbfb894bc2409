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
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.find import ADAPTERS, DataSet
from preprocess.datasets.folders import frames_between, numbered_frames

FPS = 120.0


def mylab(root: Path, *, corrected: bool = True) -> Discovery:  # noqa: ARG001 - it has no known errors
    """Find the clips: each is read, or is a failure with its reason; none is dropped in silence."""
    found = Discovery("mylab", find_root(root, "mylab"), licence_notice="Recordings of MyLab: for members only.")
    for folder in sorted(root.glob("*/*_*")):
        subject, (clip, _, emotion) = folder.parent.name, folder.name.rpartition("_")
        try:
            frames = numbered_frames(folder)
            if not frames:
                raise ClipError(f"{folder} holds no numbered image; copy it again")
            onset, offset = min(frames), max(frames)
            between = frames_between(frames, onset, offset, folder)  # complains about gaps
            found.clips.append(Clip("mylab", subject, clip, between, onset, None, offset, FPS, emotion))
        except ClipError as error:
            found.failures[f"{subject}/{clip}"] = str(error)
    return found


ADAPTERS["mylab"] = DataSet(mylab, "Recordings of MyLab: one folder per clip, its emotion in its name.")
add_dataset("mylab")

if __name__ == "__main__":
    main()
