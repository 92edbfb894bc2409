"""The memory of a training step, counted tensor by tensor and without computing anything: an oracle for estimates."""

import weakref
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from train.config import TrainConfig
from train.cost.accounting import meta_model
from train.fold_adam import FoldAdam
from train.model.build import Shape
from train.model.mpt import Inputs, trained_parameters
from train.model.tokenizer import PATCH


class _Live(TorchDispatchMode):
    """Adds up the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (place := tensor.untyped_storage())._cdata not in self.seen:
                self.seen.add(place._cdata)
                self.now += place.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(place, self._gone, place._cdata, place.nbytes())
        return out

    def _gone(self, place: int, size: int) -> None:
        self.seen.discard(place)
        self.now -= size


def step_peak(config: TrainConfig, shape: Shape, folds: int, dtype: torch.dtype) -> int:
    """The most bytes that are alive at once in one step of `folds` folds: backbone, inputs, activations, Adam."""
    model = meta_model(config, shape, folds)
    shown, patches = (folds, config.batch_size), (shape.frames, (shape.size // PATCH) ** 2, 3 * PATCH**2)
    with FakeTensorMode(), _Live() as live:
        for part in model.children():
            part._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))
        optimiser = FoldAdam(list(trained_parameters(model).values()), folds, config.lr)
        inputs = Inputs(
            torch.empty(folds * config.batch_size, shape.size, shape.size, 3, dtype=torch.uint8),
            torch.empty(shown, dtype=torch.long),
            torch.empty(*shown, *patches, dtype=torch.uint8) if config.prompt == "motion" else None,
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = model(inputs).float().flatten(0, 1)
        F.cross_entropy(logits, torch.empty(len(logits), dtype=torch.long)).backward()
        del logits
        if folds == 1:  # of several, it asks for values, and there are none
            optimiser.step(np.array([True]), optimiser.rates(np.ones((1, 1), bool))[0])
    return live.peak
