"""Folds trained together against a plain loop that trains each alone with nn.Linear and torch.optim.Adam."""

import contextlib
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.config import TrainConfig
from train.data.stream import Request, Stream
from train.loop import FoldData, Progress, epoch_steps, fit, predict
from train.model.backbone import Backbone
from train.model.build import Shape, build_model
from train.model.mpt import MPT, Inputs, trained_parameters

Make = Callable[..., Any]
CLIPS, FRAMES, SIZE, CLASSES = 40, 6, 32, 3
SHAPE = Shape(CLASSES, FRAMES, SIZE)


class Memory(Stream):
    """Serves clips that were never in a file."""

    def __init__(self, images: Tensor, motion: Tensor) -> None:
        self.images, self.motion = images, motion
        self.pixels = SimpleNamespace(whole_frames=True)  # type: ignore[assignment]
        self.device = images.device

    def inputs(self, request: Request) -> Inputs:
        return self._expand(request, self.images, self.motion, request.clips)


Data = tuple[Memory, np.ndarray]


@pytest.fixture
def data() -> Data:
    generator = torch.Generator().manual_seed(3)
    labels = np.arange(CLIPS) % CLASSES
    images = torch.randint(0, 256, (CLIPS, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    motion = torch.randint(0, 256, (CLIPS, FRAMES, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    motion[:, 3] = (motion[:, 3] // 4 + torch.from_numpy(labels * 60)[:, None, None, None]).to(torch.uint8)
    return Memory(images, motion), labels


def tiny_config(**settings: Any) -> TrainConfig:
    return TrainConfig(**{"prompts": 2, "token_channels": 6, "reduction": 4, "random_weights": True, **settings})


def folds_of(labels: np.ndarray, sizes: tuple[int, ...]) -> list[FoldData]:
    """Unequal folds: each takes the first clips of its own shuffling."""
    picks = [np.random.default_rng(f).permutation(CLIPS)[:size] for f, size in enumerate(sizes)]
    return [FoldData(pick, labels[pick], seed=100 + f) for f, pick in enumerate(picks)]


def as_plain(model: MPT, fold: int) -> dict[str, Tensor]:
    """The trained weights of one fold, under the names and in the shapes of `PlainMPT`."""
    values = {name: value.detach()[fold].clone() for name, value in trained_parameters(model).items()}
    named = {"conv.weight": values.pop("prompts.tokenizer.embed.weight").view(16, 16, 3, -1).permute(3, 2, 0, 1)}
    for name, value in values.items():
        *where, layer, part = name.replace("to_", "").replace("embed", "conv").split(".")
        if where[:1] == ["adapter"]:
            layer += f".{3 * int(where[2]) + ('class', 'visual', 'motion').index(where[3])}"
        named[f"{layer}.{part}"] = value.T if part == "weight" else value[0]
    return named


class PlainMPT(nn.Module):
    """One fold, written once more with ordinary modules."""

    def __init__(self, vit: Any, start: dict[str, Tensor]) -> None:
        super().__init__()
        self.vit = vit.requires_grad_(False)
        tokens, width, dim, inner = 2, 6, 24, 6
        self.conv = nn.Conv2d(3, width, 16, 16)
        self.mu, self.sigma = nn.Linear(width, tokens), nn.Linear(width, tokens)
        self.project, self.head = nn.Linear(width, dim), nn.Linear(dim, CLASSES)
        self.down = nn.ModuleList(nn.Linear(dim, inner, bias=False) for _ in range(9))
        self.up = nn.ModuleList(nn.Linear(inner, dim, bias=False) for _ in range(9))
        self.to(start["conv.weight"].dtype)
        assert set(start) == {name for name, value in self.named_parameters() if value.requires_grad}
        self.load_state_dict(start, strict=False)

    def forward(self, images: Tensor, motion: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, dtype=self.mu.weight.dtype) for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
        to_pixels = lambda x: ((x.to(mean.dtype) / 255 - mean) / std).movedim(-1, -3)  # noqa: E731
        batch = len(images)
        maps = F.gelu(self.conv(to_pixels(motion).flatten(0, 1)))
        features = maps.mean((2, 3)).view(batch, FRAMES, -1)
        average = features.mean(1)
        mu = torch.sigmoid(self.mu(average)) * (FRAMES - 1)
        sigma = F.softplus(self.sigma(average)) + 0.05
        gauss = torch.exp(-0.5 * ((torch.arange(FRAMES) - mu[..., None]) / sigma[..., None]) ** 2)
        prompts = self.project((gauss / gauss.sum(-1, keepdim=True)) @ features)
        x = torch.cat([self.vit._pos_embed(self.vit.patch_embed(to_pixels(images))), prompts], 1)
        for layer, block in enumerate(self.vit.blocks):
            x = block(x)
            parts = (x[:, :1], x[:, 1:17], x[:, 17:])
            adapted = [
                part + self.up[3 * layer + g](F.gelu(self.down[3 * layer + g](part))) for g, part in enumerate(parts)
            ]
            x = torch.cat(adapted, 1)
        return self.head(self.vit.norm(x[:, 0]))


def train_plainly(plain: PlainMPT, stream: Memory, fold: FoldData, config: TrainConfig) -> None:
    weights = None
    if config.class_weights == "balanced":
        counts = np.bincount(fold.labels, minlength=CLASSES)
        weights = torch.tensor(len(fold.labels) / (CLASSES * counts), dtype=plain.mu.weight.dtype)
    trained = [p for name, p in plain.named_parameters() if not name.startswith("vit.")]
    optimiser = torch.optim.Adam(trained, lr=config.lr)
    steps = math.ceil(len(fold.clips) / config.batch_size) * config.epochs
    cosine = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: 0.5 * (1 + math.cos(math.pi * s / steps)))
    for epoch in range(1, config.epochs + 1):
        order = np.random.default_rng([fold.seed, epoch]).permutation(len(fold.clips))
        for start in range(0, len(order), config.batch_size):
            chosen = order[start : start + config.batch_size]
            clips = fold.clips[chosen]
            logits = plain(stream.images[clips], stream.motion[clips])
            loss = F.cross_entropy(logits, torch.from_numpy(fold.labels[chosen]), weight=weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if config.schedule == "cosine":
                cosine.step()


@pytest.mark.parametrize(
    ("settings", "dtype", "tolerance"),
    [({}, torch.float32, 1e-5), ({"schedule": "cosine", "class_weights": "balanced"}, torch.float64, 1e-12)],
)
def test_folds_together_equal_each_alone(
    tiny_vit: Make, data: Data, settings: dict[str, Any], dtype: torch.dtype, tolerance: float
) -> None:
    stream, labels = data
    folds = folds_of(labels, (37, 29, 33))  # 5, 4 and 5 steps an epoch, each with a partial last batch
    config = tiny_config(batch_size=8, epochs=3, lr=2e-3, **settings)
    model = build_model(config, Backbone(tiny_vit()), SHAPE, [fold.seed for fold in folds]).to(dtype)
    started = [as_plain(model, f) for f in range(3)]
    fit(model, stream, folds, config)
    for f, fold in enumerate(folds):
        plain = PlainMPT(tiny_vit(), started[f])
        train_plainly(plain, stream, fold, config)
        ours = as_plain(model, f)
        assert max((ours[name] - started[f][name]).abs().max() for name in ours) > 0.01
        for name, value in ours.items():
            torch.testing.assert_close(value, plain.get_parameter(name).data, atol=tolerance, rtol=0)


@pytest.mark.parametrize("grouping", [[[0], [1], [2]], [[2, 0], [1]]])
def test_any_grouping_gives_the_same_predictions(tiny_vit: Make, data: Data, grouping: list[list[int]]) -> None:
    stream, labels = data
    folds = folds_of(labels, (37, 20, 33))
    config = tiny_config(batch_size=8, epochs=2, lr=2e-3, augment="flip+jitter")
    tests = [np.arange(40), np.arange(17), np.arange(3, 9)]

    def run(group: list[int]) -> list[np.ndarray]:
        chosen = [folds[f] for f in group]
        model = build_model(config, Backbone(tiny_vit()), SHAPE, [fold.seed for fold in chosen])
        fit(model, stream, chosen, config)
        return predict(model, stream, [tests[f] for f in group], config)

    together = run([0, 1, 2])
    apart = {f: logits for group in grouping for f, logits in zip(group, run(group), strict=True)}
    for f, logits in enumerate(together):
        assert logits.shape == (len(tests[f]), CLASSES)
        np.testing.assert_allclose(apart[f], logits, atol=2e-4)
        np.testing.assert_array_equal(apart[f].argmax(1), logits.argmax(1))


def test_one_batch_is_learned_by_heart(tiny_vit: Make, data: Data) -> None:
    stream, _ = data
    labels = np.random.default_rng(0).integers(0, CLASSES, 16)  # labels without any reason
    fold = FoldData(np.arange(16), labels, seed=1)
    config = tiny_config(batch_size=16, epochs=59, lr=1e-2)
    model = build_model(config, Backbone(tiny_vit()), SHAPE, [1])
    fit(model, stream, [fold], config)
    assert (predict(model, stream, [fold.clips], config)[0].argmax(1) == labels).all()


@pytest.mark.parametrize("settings", [{"augment": "flip+jitter"}, {"augment": "crop", "schedule": "cosine"}])
def test_training_goes_on_from_any_step_as_if_nothing_had_happened(
    tiny_vit: Make, data: Data, settings: dict[str, Any]
) -> None:
    stream, labels = data
    folds = folds_of(labels, (37, 20, 33))  # 5, 3 and 5 steps an epoch
    config = tiny_config(batch_size=8, epochs=2, lr=2e-3, **settings)

    def run(most: int, start: dict[str, np.ndarray] | None) -> tuple[dict[str, np.ndarray], MPT, list[Any]]:
        """Up to `most` steps; the state after the last of them, and what the epochs that ended reported."""
        state, reports, steps = {}, [], 0

        def on_step(progress: Progress) -> None:
            nonlocal state, steps
            steps, state = steps + 1, {name: value.copy() for name, value in progress.arrays().items()}
            if steps == most:
                raise KeyboardInterrupt

        model = build_model(config, Backbone(tiny_vit()), SHAPE, [fold.seed for fold in folds])
        with contextlib.suppress(KeyboardInterrupt):
            fit(model, stream, folds, config, reports.append, on_step, start)
        return state, model, reports

    _, calm, expected = run(99, None)
    for stop in (3, 5, 6, 9):  # within an epoch, at its last step, at the first of the next
        state, _, before = run(stop, None)
        _, resumed, after = run(99, state)
        for name, value in trained_parameters(calm).items():
            assert torch.equal(value, trained_parameters(resumed)[name]), (stop, name)
        assert repr([*before, *after]) == repr(expected)


def test_nothing_leaves_the_device_within_an_epoch(tiny_vit: Make, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device "meta" there are shapes but no numbers, so that whoever asks for one fails."""
    monkeypatch.setattr("train.loop.precision", lambda *_: contextlib.nullcontext())
    labels, steps = data[1], []
    stream = Memory(data[0].images.to("meta"), data[0].motion.to("meta"))
    folds = folds_of(labels, (37, 20, 33))
    config = tiny_config(batch_size=8, epochs=1, augment="flip+jitter", schedule="cosine", class_weights="balanced")
    model = build_model(config, Backbone(tiny_vit()), SHAPE, [fold.seed for fold in folds]).to("meta")
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        fit(model, stream, folds, config, on_step=steps.append)
    assert len(steps) == 5, "all steps were made, and only then the losses were asked for"


def test_an_epoch_shows_every_clip_once() -> None:
    labels = np.arange(CLIPS) % CLASSES
    folds = folds_of(labels, (37, 8, 20))
    seen: list[list[int]] = [[], [], []]
    for step in epoch_steps(folds, tiny_config(batch_size=8), epoch=4):
        for f in range(3):
            real = step.present[f] == 1
            seen[f] += step.request.clips[f][real].tolist()
            assert (labels[step.request.clips[f][real]] == step.labels[f][real]).all()
    assert [sorted(clips) for clips in seen] == [sorted(fold.clips.tolist()) for fold in folds]
    orders = [next(epoch_steps(folds, tiny_config(batch_size=8), e)).request.clips.tolist() for e in (1, 2)]
    assert orders[0] != orders[1]
