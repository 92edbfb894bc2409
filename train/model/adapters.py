"""Adapters after each transformer block: one branch per kind of token, one for all, or none."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.model.fold_linear import FoldLinear

Groups = Mapping[str, slice]
"""Where each kind of token (class, visual, motion) lies in the sequence; absent kinds are left out."""


class Adapter(Protocol):
    """A module that changes the tokens after each block; `ADAPTERS` in train/model/build.py names the kinds."""

    token_wise: bool
    """Whether a token's change depends on that token alone."""

    def __call__(self, x: Tensor, layer: int, groups: Groups) -> Tensor | None:
        """What to add to x (F, B, N, D) after block `layer`, or None to leave it alone."""
        ...


class Bottleneck(nn.Module):
    """Up(GELU(Down x)), D → D/r → D without biases; Up starts at zero, so the adapter starts as nothing."""

    def __init__(self, folds: int, dim: int, reduction: int) -> None:
        super().__init__()
        self.down = FoldLinear(folds, dim, dim // reduction, bias=False)
        self.up = FoldLinear(folds, dim // reduction, dim, bias=False, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """(F, B, n, D) → (F, B, n, D)."""
        folds, batch, tokens, dim = x.shape
        return self.up(F.gelu(self.down(x.reshape(folds, batch * tokens, dim)))).view_as(x)


class GroupAdapter(nn.Module):
    """X_g ← X_g + Up_g(GELU(Down_g X_g)) for each group g of tokens, in every layer (eq. 14 to 16).

    The paper's text also defines the average of each group. `mean="cross"` is the reading in which
    every branch sees the averages of the other groups, added before Down; both have the same weights.
    """

    def __init__(self, folds: int, dim: int, depth: int, groups: tuple[str, ...], reduction: int, mean: str) -> None:
        super().__init__()
        self.mean, self.token_wise = mean, mean == "none"
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: Bottleneck(folds, dim, reduction) for name in groups}) for _ in range(depth)
        )

    def forward(self, x: Tensor, layer: int, groups: Groups) -> Tensor:
        """What to add to x (F, B, N, D), all of it or the groups that are given."""
        changes, means = [], {}
        if self.mean == "cross":
            means = {name: x[:, :, place].mean(2, keepdim=True) for name, place in groups.items()}
        for name, place in groups.items():
            tokens = x[:, :, place]
            for other, mean in means.items():
                if other != name:
                    tokens = tokens + mean
            changes.append(self.layers[layer][name](tokens))  # type: ignore[index]
        return torch.cat(changes, 2)


class PrimitiveAdapter(nn.Module):
    """One branch for all tokens (Houlsby et al. 2019)."""

    token_wise = True

    def __init__(self, folds: int, dim: int, depth: int, reduction: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Bottleneck(folds, dim, reduction) for _ in range(depth))

    def forward(self, x: Tensor, layer: int, groups: Groups) -> Tensor:  # noqa: ARG002
        """What to add to x (F, B, N, D)."""
        return self.layers[layer](x)


class NoAdapter(nn.Module):
    """Leaves the tokens alone."""

    token_wise = True

    def forward(self, x: Tensor, layer: int, groups: Groups) -> Tensor | None:  # noqa: ARG002
        """None: nothing to add."""
        return None
