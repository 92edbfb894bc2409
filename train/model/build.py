"""From settings to a model: the tables of prompts and adapters, and the backbone from timm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data_cache.errors import UsageError
from train.config import TrainConfig
from train.model.adapters import Adapter, GroupAdapter, NoAdapter, PrimitiveAdapter
from train.model.backbone import Backbone
from train.model.fold_linear import normalisation, reset_folds
from train.model.mpt import MPT
from train.model.prompts import LearnedPrompt, MotionPrompt, NoPrompt, Prompts
from train.model.tokenizer import PATCH, GaussianTokenizer


@dataclass(frozen=True)
class Shape:
    """What the data decide: classes, and frames and side of the motion sequences."""

    classes: int
    frames: int
    size: int


def build_model(config: TrainConfig, backbone: Backbone, shape: Shape, fold_seeds: Sequence[int]) -> MPT:
    """The model for as many folds as there are seeds, on the CPU, freshly started."""
    model = assemble_model(config, backbone, shape, len(fold_seeds))
    reset_folds(model, fold_seeds)
    return model


def assemble_model(config: TrainConfig, backbone: Backbone, shape: Shape, folds: int) -> MPT:
    """The model's parts put together, with weights of zero.

    A UsageError where there is no such adapter, or motion prompts cannot cut the images into patches.
    """
    if config.adapter not in ADAPTERS:
        raise UsageError(f"no adapter {config.adapter!r}; choose one of {', '.join(ADAPTERS)}")
    prompts = PROMPTS[config.prompt](config, backbone, shape, folds)
    present = {"class": backbone.has_class_token, "visual": True, "motion": prompts.count > 0}
    groups = tuple(name for name, there in present.items() if there)
    adapter = ADAPTERS[config.adapter](config, backbone, groups, folds)
    return MPT(backbone, prompts, adapter, folds, shape.classes, config.adapter_position)


def _motion(config: TrainConfig, backbone: Backbone, shape: Shape, folds: int) -> MotionPrompt:
    if shape.size % PATCH:
        raise UsageError(f"the cache has images of {shape.size} pixels; motion prompts need a multiple of {PATCH}")
    normal = normalisation(backbone.pixel_mean, backbone.pixel_std)
    return MotionPrompt(GaussianTokenizer(folds, backbone.dim, shape.frames, shape.size, config, normal))


def _learned(layers: Callable[[Backbone], int]) -> Callable[..., LearnedPrompt]:
    return lambda config, backbone, _, folds: LearnedPrompt(folds, backbone.dim, config.prompts, layers(backbone))


PROMPTS: dict[str, Callable[[TrainConfig, Backbone, Shape, int], Prompts]] = {
    "motion": _motion,
    "shallow": _learned(lambda _: 1),
    "deep": _learned(lambda backbone: backbone.depth),
    "none": lambda *_: NoPrompt(),
}
ADAPTERS: dict[str, Callable[[TrainConfig, Backbone, tuple[str, ...], int], Adapter]] = {
    "group": lambda config, backbone, groups, folds: GroupAdapter(
        folds, backbone.dim, backbone.depth, groups, config.reduction, config.adapter_mean
    ),
    "primitive": lambda config, backbone, _, folds: PrimitiveAdapter(
        folds, backbone.dim, backbone.depth, config.reduction
    ),
    "none": lambda *_: NoAdapter(),
}
"""Name in the settings → from settings, backbone, names of the token groups and number of folds to the module."""
