"""Training curves for TensorBoard, where it is installed."""

from pathlib import Path
from typing import Any

from train.loop import EpochReport


class Scalars:
    """Writes loss and accuracy of every epoch; does nothing without TensorBoard.

    Args:
        folder: of the run.
        rank: number of this process, to keep their files apart.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.writer = SummaryWriter(str(folder / "tensorboard" / f"rank{rank}"))

    def write(self, report: EpochReport, names: list[str], clips_per_second: float) -> None:
        """One epoch of a group of folds."""
        if self.writer is None:
            return
        for name, loss, accuracy in zip(names, report.loss, report.accuracy, strict=True):
            self.writer.add_scalar(f"loss/{name}", loss, report.epoch)
            self.writer.add_scalar(f"train accuracy/{name}", accuracy, report.epoch)
        self.writer.add_scalar(f"clips per second/{names[0]}", clips_per_second, report.epoch)
        self.writer.flush()
