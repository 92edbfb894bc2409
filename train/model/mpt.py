"""Motion Prompt Tuning: a frozen ViT that reads an image and prompts, with adapters and a head per fold."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.model.adapters import Adapter, Groups
from train.model.backbone import Backbone
from train.model.fold_linear import FoldLinear
from train.model.prompts import Prompts


@dataclass(frozen=True)
class Inputs:
    """What F folds see in one step, B clips each.

    Attributes:
        images: (U, H, W, 3) uint8, each clip's image once.
        index: (F, B) rows of `images`.
        patches: (F, B, T, n, 768) uint8, motion cut by `patchify`; None when no prompt looks at it.
    """

    images: Tensor
    index: Tensor
    patches: Tensor | None


class MPT(nn.Module):
    """The whole model for F folds: logits (F, B, classes).

    Args:
        adapter_position: "block" adapts a block's output (eq. 13 to 16), "ffn" that of its feed-forward
            layer before it is added (Houlsby et al.).
        shortcut: compute only the class token in the last block where that is exact.
    """

    def __init__(
        self,
        backbone: Backbone,
        prompts: Prompts,
        adapter: Adapter,
        folds: int,
        classes: int,
        adapter_position: str = "block",
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.backbone, self.prompts, self.adapter = backbone, prompts, adapter
        self.head = FoldLinear(folds, backbone.dim, classes)
        self.after_block = adapter_position == "block"
        self.shortcut = shortcut and backbone.has_class_token_shortcut and adapter.token_wise

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits (F, B, classes)."""
        return self.head(self.features(inputs))

    def features(self, inputs: Inputs, before_last: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """What the head reads: (F, B, D).

        `before_last` may look at the tokens (F, B, N, D) that enter the last block, and replace them.
        """
        folds, batch = inputs.index.shape
        visual = self.backbone.embed(inputs.images)[inputs.index]  # (F, B, prefix + n, D)
        seen = visual.shape[2]
        x = visual
        for layer in range(self.backbone.depth):
            prompt = self.prompts.tokens(layer, batch, inputs.patches)
            if prompt is not None:
                x = torch.cat([x[:, :, :seen], prompt.to(x.dtype)], 2)
            if before_last is not None and layer == self.backbone.depth - 1:
                x = before_last(x)
            x = self._block(layer, x, seen)
        image_tokens = x[:, :, :seen].flatten(0, 1)  # (F·B, N, D)
        return self.backbone.pool(image_tokens).view(folds, batch, -1)

    def some_folds(self, folds: Sequence[int]) -> "MPT":
        """A model of these folds alone: the backbone is shared, what trains is copied."""
        if list(folds) == list(range(self.head.weight.shape[0])):
            return self
        part = copy.deepcopy(self, {id(self.backbone): self.backbone})
        for name, parameter in part.named_parameters():
            if not name.startswith("backbone."):
                parameter.data, parameter.grad = parameter.data[list(folds)], None
        return part

    def groups(self, seen: int, total: int) -> Groups:
        """Where the class token, the image tokens (registers included) and the prompts lie."""
        first = int(self.backbone.has_class_token)
        places = {"class": slice(0, first), "visual": slice(first, seen), "motion": slice(seen, total)}
        return {name: place for name, place in places.items() if place.stop > place.start}

    def _block(self, layer: int, x: Tensor, seen: int) -> Tensor:
        """One transformer block and its adapter: (F, B, N, D) → the same, or the class token alone."""
        folds, batch, total, _ = x.shape
        flat = x.flatten(0, 1)  # (F·B, N, D)
        groups = self.groups(seen, total)
        if self.shortcut and layer == self.backbone.depth - 1:
            middle, groups = self.backbone.attend_class_token(layer, flat), {"class": slice(0, 1)}
        else:
            middle = self.backbone.attend(layer, flat)
        added = self.backbone.feed_forward(layer, middle)
        target = middle + added if self.after_block else added
        change = self.adapter(target.unflatten(0, (folds, batch)), layer, groups)
        out = (middle + added).unflatten(0, (folds, batch))
        return out if change is None else out + change


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that train, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def trained_count(model: nn.Module) -> int:
    """How many numbers train."""
    return sum(parameter.numel() for parameter in trained_parameters(model).values())
