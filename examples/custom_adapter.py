"""An adapter of your own, with every option of mpt-train.

    python examples/custom_adapter.py --cache data_cache/casme2.h5 --adapter scaled --name casme2-scaled

Inside the package, the class belongs into train/model/adapters.py, and the entry into `ADAPTERS` of
train/model/build.py.
"""

import torch
from torch import Tensor

from train.cli import main
from train.model.adapters import Groups
from train.model.build import ADAPTERS
from train.model.fold_linear import FoldModule


class ScaledAdapter(FoldModule):
    """X ← X + s ⊙ X + b with s and b learned for each layer: fewer than 0.02 M parameters on a ViT-B.

    As every trained module, it holds F folds side by side: its parameters have a leading fold axis, and `reset_fold`
    draws one of them.
    """

    token_wise = True  # a token's change depends on that token alone

    def __init__(self, folds: int, dim: int, depth: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(folds, depth, dim))
        self.shift = torch.nn.Parameter(torch.zeros(folds, depth, dim))

    def forward(self, x: Tensor, layer: int, groups: Groups) -> Tensor:  # noqa: ARG002 - one change for all groups
        """What to add to the tokens x (F, B, N, D) after block `layer`."""
        return x * self.scale[:, layer, None, None] + self.shift[:, layer, None, None]

    @torch.no_grad()
    def reset_fold(self, fold: int, generator: torch.Generator) -> None:  # noqa: ARG002 - nothing is drawn
        """Start as nothing."""
        self.scale[fold] = 0
        self.shift[fold] = 0


ADAPTERS["scaled"] = lambda config, backbone, groups, folds: ScaledAdapter(folds, backbone.dim, backbone.depth)

if __name__ == "__main__":
    main()
