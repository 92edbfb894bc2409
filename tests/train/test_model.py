"""The model against plain timm and plain PyTorch; what trains, what stays frozen, what is counted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from train.config import TrainConfig
from train.fold_adam import FoldAdam
from train.model.adapters import NoAdapter
from train.model.backbone import Backbone
from train.model.build import Shape, build_model
from train.model.fold_linear import reset_folds
from train.model.mpt import MPT, Inputs, trained_parameters
from train.model.prompts import LearnedPrompt, NoPrompt

SHAPE = Shape(classes=3, frames=6, size=32)
KINDS = ("plain", "clip", "registers", "average", "no class token", "attention pooling")
Make = Callable[..., Any]


@pytest.fixture
def tiny_model(tiny_vit: Make) -> Make:
    """Make a small model around a small ViT."""

    def make(kind: str = "plain", folds: int = 2, **settings: Any) -> MPT:
        config = TrainConfig(**{"prompts": 2, "token_channels": 6, "reduction": 4, **settings})
        return build_model(config, Backbone(tiny_vit(kind), config.tuning == "full"), SHAPE, list(range(folds)))

    return make


def tiny_inputs(folds: int = 2, batch: int = 3, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    return Inputs(
        images=torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=generator),
        index=torch.randint(0, 4, (folds, batch), generator=generator),
        patches=torch.randint(0, 256, (folds, batch, 6, 4, 768), dtype=torch.uint8, generator=generator),
    )


VARIANTS = [
    {"prompt": prompt, "adapter": adapter, **extra}
    for prompt in ("motion", "shallow", "deep", "none")
    for adapter, extras in (
        ("group", ({}, {"adapter_mean": "cross"}, {"adapter_position": "ffn"})),
        ("primitive", ({}, {"adapter_position": "ffn"})),
        ("none", ({},)),
    )
    for extra in extras
] + [{"token_activation": "none"}, {"token_grid": 2}, {"tuning": "full", "prompt": "none", "adapter": "none"}]


def idle_parameters(model: MPT) -> set[str]:
    """Trained weights that nothing read by the head depends on (documented in docs/explanation/method.md).

    In the last block only the tokens that are pooled matter. Deep prompts are replaced after every
    block, so what the motion branch makes of them is thrown away.
    """
    pooled = "class" if model.backbone.pools_class_token else "visual"
    idle = {(model.backbone.depth - 1, group) for group in ("class", "visual", "motion") if group != pooled}
    if isinstance(model.prompts, LearnedPrompt) and model.prompts.prompts.shape[1] == model.backbone.depth:
        idle |= {(layer, "motion") for layer in range(model.backbone.depth)}
    prefixes = tuple(f"adapter.layers.{layer}.{group}." for layer, group in idle)
    return {name for name in trained_parameters(model) if name.startswith(prefixes)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: "-".join(map(str, s.values())))
def test_every_variant_trains_just_what_it_should(kind: str, settings: dict[str, Any], tiny_model: Make) -> None:
    full = settings.get("tuning") == "full"
    model = tiny_model(kind, folds=1 if full else 2, **settings)
    inputs = tiny_inputs(folds=1 if full else 2)
    trained = trained_parameters(model)
    parts = {name.partition(".")[0] for name in trained}
    expected = {"head"} | ({"backbone"} if full else set())
    expected |= {"prompts"} if settings.get("prompt", "motion") != "none" else set()
    expected |= {"adapter"} if settings.get("adapter", "group") != "none" else set()
    assert parts == expected
    frozen = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    before = {name: value.detach().clone() for name, value in trained.items()}
    folds = inputs.index.shape[0]
    targets = torch.arange(inputs.index.numel()).remainder(3)
    optimiser = FoldAdam(list(trained.values()), folds, 1e-2)
    for _ in range(2):  # what starts as zero hides what is before it from the first step
        model.train()
        assert not model.backbone.vit.training and not any(m.training for m in model.backbone.modules())
        logits = model(inputs)
        assert logits.shape == (folds, 3, 3)
        model.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), targets).backward()
        optimiser.step(np.ones(folds, bool), optimiser.rates(np.ones((1, folds), bool))[0])
    idle = idle_parameters(model)
    unread = {n for n in trained if full and ("head." not in n) and trained[n].grad is None}
    for name, value in trained.items():
        moved = (value - before[name]).abs().amax(dim=tuple(range(1, value.dim())))
        if name in idle | unread:
            assert torch.equal(value, before[name]), name
        else:
            assert (moved > 0).all(), f"{name} did not train in every fold"
    if not full:
        assert all(torch.equal(value, frozen[name]) for name, value in model.backbone.state_dict().items())


def test_the_idle_branches_of_the_last_block_are_known(tiny_model: Make) -> None:
    assert idle_parameters(tiny_model()) == {
        f"adapter.layers.2.{group}.{part}.weight" for group in ("visual", "motion") for part in ("down", "up")
    }
    assert idle_parameters(tiny_model(adapter="primitive")) == set()


PLAIN = ("base_patch16_224.augreg_in21k", "base_patch16_clip_quickgelu_224.openai", "small_patch14_reg4_dinov2")


@pytest.mark.parametrize("name", PLAIN)
def test_the_wrapper_adds_nothing_to_timm(name: str) -> None:
    torch.manual_seed(0)
    size = 56 if "14" in name else 64
    vit = timm.create_model(f"vit_{name}", num_classes=0, img_size=size, embed_dim=96, depth=2, num_heads=3)
    model = MPT(Backbone(vit), NoPrompt(), NoAdapter(), folds=1, classes=4, shortcut=False)
    reset_folds(model, [0])
    head = nn.Linear(96, 4)
    head.weight.data, head.bias.data = model.head.weight[0].T, model.head.bias[0, 0]  # type: ignore[index]
    images = torch.randint(0, 256, (5, size, size, 3), dtype=torch.uint8)
    cfg = vit.pretrained_cfg
    pixels = (images.float() / 255 - torch.tensor(cfg["mean"])) / torch.tensor(cfg["std"])
    expected = vit.eval()(pixels.permute(0, 3, 1, 2))
    inputs = Inputs(images, torch.arange(5)[None], None)
    assert torch.equal(model.features(inputs)[0], expected)
    torch.testing.assert_close(model(inputs)[0], head(expected), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "clip", "registers"])
@pytest.mark.parametrize("adapter", ["group", "primitive"])
def test_adapters_start_as_nothing(kind: str, adapter: str, tiny_model: Make) -> None:
    bare, adapted = (tiny_model(kind, prompt="none", adapter=name) for name in ("none", adapter))
    bare.shortcut = adapted.shortcut = False
    assert torch.equal(bare.features(tiny_inputs()), adapted.features(tiny_inputs()))


@pytest.mark.parametrize("kind", ["plain", "clip", "registers"])
@pytest.mark.parametrize("settings", [{}, {"adapter": "primitive"}, {"adapter_position": "ffn"}, {"prompt": "deep"}])
def test_the_class_token_shortcut_is_exact(kind: str, settings: dict[str, Any], tiny_model: Make) -> None:
    model = tiny_model(kind, **settings)
    for parameter in trained_parameters(model).values():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    assert model.shortcut
    inputs = tiny_inputs()
    short = model(inputs)
    model.shortcut = False
    torch.testing.assert_close(short, model(inputs), atol=1e-5, rtol=1e-5)


def test_models_that_pool_otherwise_take_no_shortcut(tiny_model: Make) -> None:
    assert not any(tiny_model(kind).shortcut for kind in ("average", "no class token", "attention pooling"))
    assert not tiny_model("plain", adapter_mean="cross").shortcut


@pytest.mark.parametrize("mean", ["none", "cross"])
def test_group_adapters_are_three_bottlenecks_by_token_kind(mean: str, tiny_model: Make) -> None:
    model = tiny_model(folds=1, adapter_mean=mean, prompt="shallow")
    model.shortcut = False
    for parameter in trained_parameters(model).values():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    inputs = tiny_inputs(folds=1, batch=2)
    vit = model.backbone.vit
    images = inputs.images[inputs.index[0]]
    pixels = (images.float() / 255 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    tokens = vit._pos_embed(vit.patch_embed(pixels.permute(0, 3, 1, 2)))
    prompts = model.prompts.prompts[0, 0].expand(2, -1, -1)  # type: ignore[union-attr]
    x = torch.cat([tokens, prompts], 1)
    for block, branches in zip(vit.blocks, model.adapter.layers, strict=True):  # type: ignore[union-attr, arg-type]
        x = block(x)
        groups = {"class": x[:, :1], "visual": x[:, 1:17], "motion": x[:, 17:]}
        out = []
        for name, tokens in groups.items():
            branch, seen = branches[name], tokens
            if mean == "cross":
                seen = tokens + sum(groups[other].mean(1, keepdim=True) for other in groups if other != name)
            out.append(tokens + F.gelu(seen @ branch.down.weight[0]) @ branch.up.weight[0])
        x = torch.cat(out, 1)
    torch.testing.assert_close(model.features(inputs)[0], vit.norm(x[:, 0]), atol=1e-5, rtol=1e-5)


def test_prompts_are_not_pooled(tiny_model: Make) -> None:
    """With averaging, prompts act through attention only: making them huge must not enter the mean."""
    model = tiny_model("average", prompt="shallow", adapter="none")
    seen: list[int] = []
    pool = model.backbone.pool
    model.backbone.pool = lambda x: seen.append(x.shape[1]) or pool(x)  # type: ignore[method-assign]
    model(tiny_inputs())
    assert seen == [17]  # class token and 16 patches, without the 2 prompts
