"""What TensorBoard is told, where it is installed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from commands import Command

from train.results.run_folder import RunFolder


class Writer:
    """Stands for TensorBoard's, which need not be installed."""

    written: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, folder: str) -> None:
        assert folder.endswith("tensorboard/rank0")

    def add_scalar(self, name: str, value: float, epoch: int) -> None:
        self.written.append((name, float(value), epoch))

    def flush(self) -> None:
        pass


def test_tensorboard_gets_every_epoch_of_every_fold(quick: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))  # type: ignore[arg-type]
    assert quick().code == 0
    for fold in RunFolder(Path("runs/demo-mpt")).read_folds():
        for name, curve in (("loss", fold.loss), ("train accuracy", fold.accuracy)):
            expected = [(f"{name}/{fold.name}", pytest.approx(value), n) for n, value in enumerate(curve, 1)]
            assert [each for each in Writer.written if each[0] == expected[0][0]] == expected
