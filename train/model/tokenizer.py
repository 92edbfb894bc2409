"""Gaussian tokens: what moved, gathered around moments that are learned (eq. 8 to 12)."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.config import TrainConfig
from train.model.fold_linear import FoldLinear, byte_linear, centred_mean

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor] | None] = {"gelu": F.gelu, "none": None}
PATCH = 16
SMALLEST_SIGMA = 0.05  # in frames; a narrower kernel would see one frame only


class GaussianTokenizer(nn.Module):
    """A magnified sequence to m tokens, for F folds at once.

    frames → 16×16 patches, each mapped to `channels` features → activation → averaged over a G×G
    grid → f_t; two linear layers on the time-mean of f give μ_k in (0, T−1) and σ_k > 0;
    token_k = W_φ Σ_t Ĝ_k(t) f_t, with Ĝ_k normalised over t.

    The paper names no activation. With "none" all before W_φ is linear in the mean patch of each
    frame, so patches are averaged first: equal, and far less work.

    Args:
        dim: width D of the tokens; m, G and the number of channels are settings.
        size: side of a frame in pixels, a multiple of 16.
        normal: scale and shift of the backbone's input normalisation, as `normalisation` gives them.
    """

    times: Tensor
    cells: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(
        self, folds: int, dim: int, frames: int, size: int, config: TrainConfig, normal: tuple[Tensor, Tensor]
    ) -> None:
        super().__init__()
        self.tokens = tokens = config.prompts
        channels, grid = config.token_channels, config.token_grid
        self.activation = ACTIVATIONS[config.token_activation]
        width = channels * grid * grid
        self.embed = FoldLinear(folds, 3 * PATCH * PATCH, channels)
        # The kernels start evenly spread over the clip, each about as wide as its share of it.
        places = (torch.arange(tokens) + 0.5) / tokens
        share = torch.tensor((frames - 1) / (2 * tokens)).clamp(min=0.1)
        self.to_mu = FoldLinear(folds, width, tokens, bias_start=torch.logit(places))
        self.to_sigma = FoldLinear(folds, width, tokens, bias_start=torch.log(torch.expm1(share)).expand(tokens))
        self.project = FoldLinear(folds, width, dim)
        self.register_buffer("times", torch.arange(frames, dtype=torch.float32), persistent=False)
        side = size // PATCH  # adaptive average pooling of side×side patches to G×G as a matrix, (G², side²)
        pooled = F.adaptive_avg_pool2d(torch.eye(side * side).view(side * side, 1, side, side), grid)
        self.register_buffer("cells", pooled.view(side * side, grid * grid).T.contiguous(), persistent=False)
        for name, values in zip(("scale", "shift"), normal, strict=True):
            self.register_buffer(name, values.repeat(PATCH * PATCH)[:, None], persistent=False)  # (768, 1)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (F, B, T, n, 768) uint8 → tokens (F, B, m, D)."""
        features = self.frame_features(patches)
        weights = self.kernels(*self.moments(features)).to(features.dtype)
        pooled = weights @ features  # (F, B, m, T) @ (F, B, T, width) = (F, B, m, width)
        folds, batch, tokens, width = pooled.shape
        return self.project(pooled.reshape(folds, batch * tokens, width)).view(folds, batch, tokens, -1)

    def frame_features(self, patches: Tensor) -> Tensor:
        """f_t of eq. 8: (F, B, T, n, 768) uint8 → (F, B, T, channels·G²)."""
        folds, batch, frames, count, width = patches.shape
        if self.activation is None:
            averages = centred_mean(self.cells, patches)  # (F, B, T, G², 768)
            scaled = averages * self.scale.view(-1).to(averages) + self.shift.view(-1).to(averages)
            return self.embed(scaled.reshape(folds, -1, width)).view(folds, batch, frames, -1)
        flat = patches.reshape(folds, batch * frames * count, width)
        embedded = byte_linear(flat, self.embed.weight, cast(Tensor, self.embed.bias), self.scale, self.shift)
        active = self.activation(embedded).view(folds, batch, frames, count, -1)
        return (self.cells.to(active.dtype) @ active).flatten(3)

    def moments(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """μ in frames, 0..T−1, and σ > 0 in frames (eq. 9, 10), each (F, B, m); never in half precision."""
        average, dtype = features.mean(2), self.times.dtype  # (F, B, width)
        mu = torch.sigmoid(self.to_mu(average).to(dtype)) * self.times[-1]
        sigma = F.softplus(self.to_sigma(average).to(dtype)) + SMALLEST_SIGMA
        return mu, sigma

    def kernels(self, mu: Tensor, sigma: Tensor) -> Tensor:
        """Ĝ (F, B, m, T): Gaussians over the frames, normalised to sum 1 (eq. 11).

        A softmax of the exponents is that normalisation, without underflow when a kernel is narrow.
        """
        distance = (self.times - mu[..., None]) / sigma[..., None]
        return torch.softmax(-0.5 * distance.square(), dim=-1)


def patchify(frames: Tensor) -> Tensor:
    """(..., H, W, 3) → (..., n, 768): 16×16 patches row by row, each as (row, column, channel)."""
    *lead, height, width, channels = frames.shape
    rows, columns = height // PATCH, width // PATCH
    grid = frames.reshape(-1, rows, PATCH, columns, PATCH, channels).transpose(2, 3)  # (·, rows, columns, 16, 16, 3)
    return grid.reshape(*lead, rows * columns, PATCH * PATCH * channels)
