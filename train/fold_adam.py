"""Adam for stacked folds: every fold has its own step count, and a finished fold stands still."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FoldAdam:
    """Adam (Kingma & Ba 2015) on parameters whose first axis counts folds.

    Stock Adam has one step count, and it moves a weight even when its gradient is zero, because of
    its momentum. Folds differ in length, so here a fold without a batch left keeps weights and state.

    All parameters move into one buffer (F, P), of which they become views: a step is then a handful
    of operations, however many parameters there are.

    Args:
        parameters: of shape (F, …); for a single fold, of any shape.
        folds: F.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        folds: int,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.values = torch.cat([parameter.detach().reshape(folds, -1) for parameter in parameters], 1)  # (F, P)
        self.first = torch.zeros_like(self.values)
        self.second = torch.zeros_like(self.values)
        self.steps = torch.zeros(folds, dtype=torch.float64)
        start = 0
        for parameter in parameters:
            end = start + parameter.numel() // folds
            parameter.data = _view(self.values[:, start:end], parameter)
            start = end

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, active: Tensor, lr_scale: Tensor | float = 1.0) -> None:
        """One step.

        Args:
            active: (F,) bool on the CPU; where false, the fold stands still.
            lr_scale: factor on the learning rate, one for all folds or (F,).
        """
        beta1, beta2 = self.betas
        self.steps += active
        taken = self.steps.clamp(min=1)
        rate = self._column(self.lr * lr_scale / (1 - beta1**taken))
        correction = self._column((1 - beta2**taken).sqrt())
        gradient = torch.cat([self._gradient(parameter) for parameter in self.parameters], 1)  # (F, P)
        first = torch.lerp(self.first, gradient, 1 - beta1)
        second = torch.addcmul(self.second * beta2, gradient, gradient, value=1 - beta2)
        change = (second.sqrt() / correction).add_(self.eps).reciprocal_().mul_(first).mul_(rate)
        if active.all():
            self.first, self.second = first, second
            self.values.sub_(change)
            return
        moving = active.to(self.values.device)[:, None]
        self.first = torch.where(moving, first, self.first)
        self.second = torch.where(moving, second, self.second)
        self.values.sub_(torch.where(moving, change, 0))

    def _gradient(self, parameter: nn.Parameter) -> Tensor:
        """(F, p); zero where nothing reached the parameter, which then stays."""
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        return gradient.reshape(len(self.steps), -1)

    def _column(self, per_fold: Tensor) -> Tensor:
        """(F,) float64 → (F, 1) where and as the parameters are."""
        return per_fold.to(self.values.device, self.values.dtype)[:, None]


def _view(columns: Tensor, parameter: Tensor) -> Tensor:
    """Some columns of the buffer in the shape of a parameter; one without a fold axis is the single fold's."""
    folds = columns.shape[0]
    if parameter.dim() and parameter.shape[0] == folds:
        return columns.view(parameter.shape)
    return columns[0].view(parameter.shape)
