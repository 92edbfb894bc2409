"""Adam for stacked folds: every fold has its own step count, and a finished fold stands still."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class FoldAdam:
    """Adam (Kingma & Ba 2015) on parameters whose first axis counts folds.

    Stock Adam has one step count, and it moves a weight even when its gradient is zero, because of
    its momentum. Folds differ in length, so here a fold without a batch left keeps weights and state.

    All parameters move into one buffer (F, P), of which they become views: a step is then a handful
    of operations, however many parameters there are.

    Parameters are of shape (F, …); for a single fold, of any shape.
    """

    beta1, beta2, eps = 0.9, 0.999, 1e-8

    def __init__(self, parameters: Sequence[nn.Parameter], folds: int, lr: float) -> None:
        self.parameters, self.lr = list(parameters), lr
        self.values = torch.cat([parameter.detach().reshape(folds, -1) for parameter in parameters], 1)  # (F, P)
        self.first = torch.zeros_like(self.values)
        self.second = torch.zeros_like(self.values)
        self.steps = np.zeros(folds)
        start = 0
        for parameter in parameters:
            end = start + parameter.numel() // folds
            columns = self.values[:, start:end]  # a parameter without a fold axis is that of the single fold
            has_folds = parameter.dim() and parameter.shape[0] == folds
            parameter.data = (columns if has_folds else columns[0]).view(parameter.shape)
            start = end

    def rates(self, active: np.ndarray, lr_scale: np.ndarray | float = 1.0) -> Tensor:
        """What the next S steps need to know: learning rate, correction of the second moment, 1 where a fold moves.

        `active` (S, F) bool is false where a fold stands still; `lr_scale` is one factor for all or (S, F). The answer
        (S, 3, F) is on the CPU.
        """
        taken = np.maximum(self.steps + active.cumsum(0), 1)
        rows = self.lr * lr_scale / (1 - self.beta1**taken), np.sqrt(1 - self.beta2**taken), active
        return torch.from_numpy(np.stack(rows, 1)).to(self.values.dtype)

    @torch.no_grad()
    def step(self, active: np.ndarray, rates: Tensor) -> None:
        """One step of the folds that are `active`, (F,) bool, with its `rates`, (3, F) where the parameters are."""
        rate, correction, moving = rates[..., None]  # (F, 1) each
        self.steps += active
        # what nothing reached has a gradient of zero, and stays
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.parameters]
        gradient = torch.cat([each.reshape(len(self.steps), -1) for each in gradients], 1)  # (F, P)
        first = torch.lerp(self.first, gradient, 1 - self.beta1)
        second = torch.addcmul(self.second * self.beta2, gradient, gradient, value=1 - self.beta2)
        change = (second.sqrt() / correction).add_(self.eps).reciprocal_().mul_(first).mul_(rate)
        if active.all():
            self.first, self.second = first, second
            self.values.sub_(change)
            return
        moves = moving > 0
        self.first = torch.where(moves, first, self.first)
        self.second = torch.where(moves, second, self.second)
        self.values.sub_(torch.where(moves, change, 0))
