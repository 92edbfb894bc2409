"""Gaussian tokens: against a plain convolution, and at the edges of what numbers can do."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from train.config import TrainConfig
from train.model.fold_linear import FoldLinear, byte_linear, normalisation, reset_folds
from train.model.tokenizer import GaussianTokenizer, patchify

MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def tokenizer(
    folds: int = 1, *, size: int = 48, frames: int = 6, seed: int = 0, dim: int = 24, **more: Any
) -> GaussianTokenizer:
    config = TrainConfig(**{"prompts": 3, "token_channels": 10, **more})
    made = GaussianTokenizer(folds, dim, frames, size, config, normalisation(MEAN, STD))
    reset_folds(made, range(seed, seed + folds))
    return made


def motion_bytes(folds: int = 1, batch: int = 2, frames: int = 6, size: int = 48, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (folds, batch, frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def plain_tokens(made: GaussianTokenizer, motion: Tensor, fold: int, activation: bool, grid: int) -> Tensor:
    """Eq. 8 to 12 with a convolution, adaptive pooling and explicit Gaussians: (B, m, D)."""
    batch, frames = motion.shape[:2]
    pixels = (motion.double() / 255 - torch.tensor(MEAN).double()) / torch.tensor(STD).double()
    images = pixels.flatten(0, 1).permute(0, 3, 1, 2)  # (B·T, 3, H, W)
    kernel = made.embed.weight[fold].double().view(16, 16, 3, -1).permute(3, 2, 0, 1)
    maps = F.conv2d(images, kernel, made.embed.bias[fold, 0].double(), stride=16)  # type: ignore[index]
    maps = F.gelu(maps) if activation else maps
    cells = F.adaptive_avg_pool2d(maps, grid)  # (B·T, C, G, G)
    features = cells.permute(0, 2, 3, 1).reshape(batch, frames, -1)  # (B, T, G²·C)

    def linear(layer: FoldLinear, x: Tensor) -> Tensor:
        return x @ layer.weight[fold].double() + layer.bias[fold, 0].double()  # type: ignore[index]

    average = features.mean(1)
    mu = torch.sigmoid(linear(made.to_mu, average)) * (frames - 1)
    sigma = F.softplus(linear(made.to_sigma, average)) + 0.05
    times = torch.arange(frames).double()
    gauss = torch.exp(-((times - mu[..., None]) ** 2) / (2 * sigma[..., None] ** 2))
    gauss = gauss / gauss.sum(-1, keepdim=True)
    return linear(made.project, gauss @ features)


@pytest.mark.parametrize("activation", ["gelu", "none"])
@pytest.mark.parametrize("grid", [1, 2, 3])
def test_tokens_equal_a_plain_convolution_per_fold(activation: str, grid: int) -> None:
    made = tokenizer(2, token_grid=grid, token_activation=activation)
    motion = motion_bytes(2)
    tokens = made(patchify(motion))
    for fold in range(2):
        expected = plain_tokens(made, motion[fold], fold, activation == "gelu", grid)
        torch.testing.assert_close(tokens[fold].double(), expected, atol=2e-5, rtol=1e-4)


def test_bytes_give_the_gradient_of_floats() -> None:
    pixels = torch.randint(0, 256, (2, 50, 12), dtype=torch.uint8)
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in (MEAN, STD))
    scale, shift = (part.repeat(4)[:, None] for part in normalisation(MEAN, STD))
    ours, theirs = (torch.randn(2, 12, 5, dtype=torch.float64).requires_grad_() for _ in range(2))
    theirs.data.copy_(ours.data)
    bias = torch.randn(2, 1, 5, dtype=torch.float64, requires_grad=True)
    other = bias.detach().clone().requires_grad_()
    target = torch.randn(2, 50, 5, dtype=torch.float64)
    out = byte_linear(pixels, ours, bias, scale, shift)
    normal = (pixels.double() / 255 - mean.repeat(4)) / std.repeat(4)
    plain = normal @ theirs + other
    torch.testing.assert_close(out, plain, atol=1e-10, rtol=1e-10)
    ((out - target) ** 2).sum().backward()
    ((plain - target) ** 2).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(bias.grad, other.grad, atol=1e-9, rtol=1e-9)


@settings(max_examples=40)
@given(scale=st.sampled_from([0.0, 1.0, 1e3, 1e6, 1e20]), bf16=st.booleans(), seed=st.integers(0, 99))
def test_kernels_are_sane_for_any_features(scale: float, bf16: bool, seed: int) -> None:
    made = tokenizer(frames=16, seed=seed)
    features = torch.randn(1, 4, 16, 10, generator=torch.Generator().manual_seed(seed)) * scale
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        mu, sigma = made.moments(features)
        weights = made.kernels(mu, sigma)
    assert mu.min() >= 0 and mu.max() <= 15
    assert sigma.min() > 0
    assert torch.isfinite(weights).all() and weights.min() >= 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 4, 3), atol=1e-5, rtol=0)


def test_bf16_tokens_and_gradients_are_finite_for_extreme_pixels() -> None:
    made = tokenizer()
    for value in (0, 255):
        patches = torch.full((1, 2, 6, 9, 768), value, dtype=torch.uint8)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = made(patches)
        tokens.float().square().sum().backward()
        assert torch.isfinite(tokens).all()
        assert all(torch.isfinite(p.grad).all() for p in made.parameters())


def test_kernels_start_spread_over_the_clip() -> None:
    made = tokenizer(frames=16, prompts=5)
    mu, sigma = made.moments(torch.zeros(1, 1, 16, 10))
    torch.testing.assert_close(mu[0, 0], torch.tensor([1.5, 4.5, 7.5, 10.5, 13.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(sigma[0, 0], torch.full((5,), 1.55), atol=1e-4, rtol=0)


@pytest.mark.parametrize("moment", [2, 13])
def test_a_kernel_learns_when_something_happens(moment: int) -> None:
    """The class is the brightness of one frame; all others are noise. The kernel must move there."""
    torch.manual_seed(0)
    made = tokenizer(size=16, frames=16, seed=1, dim=4, prompts=1, token_channels=8)
    head = nn.Linear(4, 2)
    labels = torch.randint(0, 2, (64,))
    motion = torch.randint(96, 160, (1, 64, 16, 16, 16, 3), dtype=torch.uint8)
    motion[0, :, moment] = (80 + 96 * labels).to(torch.uint8)[:, None, None, None]
    patches = patchify(motion)
    optimiser = torch.optim.Adam([*made.parameters(), *head.parameters()], lr=0.02)
    before, _ = made.moments(made.frame_features(patches))
    for _ in range(60):
        loss = F.cross_entropy(head(made(patches)[0, :, 0]), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after, _ = made.moments(made.frame_features(patches))
    assert abs(after.mean() - moment) < abs(before.mean() - moment) - 1
    assert loss < 0.3
