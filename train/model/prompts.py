"""What is shown to the frozen ViT beside the image: motion prompts, or the prompts of VPT to compare with."""

from math import sqrt
from typing import Protocol

import torch
from torch import Tensor, nn

from train.model.fold_linear import FoldModule
from train.model.tokenizer import PATCH, GaussianTokenizer


class Prompts(Protocol):
    """A source of prompt tokens; the backbone loop does not know which."""

    count: int
    """Prompt tokens per layer, 0 for none."""

    def tokens(self, layer: int, batch: int, patches: Tensor | None) -> Tensor | None:
        """The tokens (F, B, P, D) to put in at `layer`, or None to keep those that are there."""
        ...


class MotionPrompt(nn.Module):
    """MPT: Gaussian tokens of the magnified motion, put in before the first block."""

    def __init__(self, tokenizer: GaussianTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.count = tokenizer.tokens

    def tokens(self, layer: int, batch: int, patches: Tensor | None) -> Tensor | None:  # noqa: ARG002
        """Motion tokens at layer 0."""
        if layer > 0:
            return None
        if patches is None:
            raise ValueError("motion prompts need the motion sequence")
        return self.tokenizer(patches)


class LearnedPrompt(FoldModule):
    """VPT (Jia et al. 2022): learned tokens, the same for every clip.

    With `layers` 1, shallow, they are put in before the first block; deep replaces them before each of so many blocks.
    """

    def __init__(self, folds: int, dim: int, count: int, layers: int) -> None:
        super().__init__()
        self.count = count
        self.bound = sqrt(6 / (3 * PATCH * PATCH + dim))  # VPT's choice: Xavier for a patch embedding
        self.prompts = nn.Parameter(torch.zeros(folds, layers, count, dim))

    def tokens(self, layer: int, batch: int, patches: Tensor | None) -> Tensor | None:  # noqa: ARG002
        """The learned tokens of `layer`, repeated over the batch."""
        if layer >= self.prompts.shape[1]:
            return None
        return self.prompts[:, layer, None].expand(-1, batch, -1, -1)

    @torch.no_grad()
    def reset_fold(self, fold: int, generator: torch.Generator) -> None:
        """Uniform, as VPT does."""
        self.prompts[fold].uniform_(-self.bound, self.bound, generator=generator)


class NoPrompt(nn.Module):
    """Nothing beside the image."""

    count = 0

    def tokens(self, layer: int, batch: int, patches: Tensor | None) -> Tensor | None:  # noqa: ARG002
        """None, always."""
        return None
