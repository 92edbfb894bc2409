"""Adam for stacked folds: every fold has its own step count, and a finished fold stands still."""

from collections.abc import Sequence

import torch
from torch import Tensor


class FoldAdam:
    """Adam (Kingma & Ba 2015) on parameters whose first axis counts folds.

    Stock Adam has one step count and moves a weight even when its gradient is zero, because of its
    momentum. Folds differ in length, so here a fold without a batch left keeps its weights and state.

    Args:
        parameters: tensors of shape (F, …); for one fold, any shape.
        folds: F.
        lr: learning rate.
        betas: decay of the two moments.
        eps: added to the denominator.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        folds: int,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.steps = torch.zeros(folds, dtype=torch.float64)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, active: Tensor, lr_scale: Tensor | float = 1.0) -> None:
        """One step for the folds where `active` (F,) bool on the CPU is true; `lr_scale` may differ per fold."""
        self.steps += active
        taken = self.steps.clamp(min=1)
        beta1, beta2 = self.betas
        rate = torch.as_tensor(self.lr * lr_scale / (1 - beta1**taken))
        correction = (1 - beta2**taken).sqrt()
        everyone = bool(active.all())
        for parameter, first, second in zip(self.parameters, self.first, self.second, strict=True):
            if parameter.grad is None:
                continue
            new_first = torch.lerp(first, parameter.grad, 1 - beta1)
            new_second = (second * beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            denominator = (new_second.sqrt() / _along(correction, parameter)).add_(self.eps)
            change = new_first / denominator * _along(rate, parameter)
            if not everyone:
                moving = _along(active, parameter)
                change = torch.where(moving, change, 0)
                new_first, new_second = (
                    torch.where(moving, new_first, first),
                    torch.where(moving, new_second, second),
                )
            first.copy_(new_first)
            second.copy_(new_second)
            parameter.sub_(change)


def _along(per_fold: Tensor, parameter: Tensor) -> Tensor:
    """(F,) → (F, 1, …, 1), on the parameter's device; numbers in its precision."""
    shaped = per_fold.view(-1, *[1] * (parameter.dim() - 1))
    dtype = per_fold.dtype if per_fold.dtype == torch.bool else parameter.dtype
    return shaped.to(parameter.device, dtype)
