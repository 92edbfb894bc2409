"""Trained weights as safetensors: one fold to a file, with what is needed to use it safely again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from data_cache.console.options import from_mapping
from data_cache.errors import InvalidFile, UsageError
from data_cache.files.atomic import write_bytes
from data_cache.schema import StoredRecipe
from train.config import TrainConfig
from train.data.task import Task
from train.model.backbone import Backbone
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT, trained_parameters
from train.model.weights import build_backbone, weights_digest
from train.results.forms import CARD, misfit
from train.results.run_folder import RunFolder


@dataclass(frozen=True)
class CheckpointCard:
    """What a checkpoint says of itself.

    Attributes:
        settings: the `TrainConfig` as JSON.
        size: side of the images in pixels.
        recipe: with which the caches were made.
        backbone_digest: hash of the frozen weights that it belongs to.
    """

    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    frames: int
    size: int
    recipe: StoredRecipe
    backbone_digest: str

    @classmethod
    def of(cls, task: Task, config: TrainConfig, backbone: Backbone) -> "CheckpointCard":
        """The card of all checkpoints of a run."""
        clips, recipe = task.clips, task.clips.readers[0].attributes.stored_recipe
        classes = task.labelling.classes
        return cls(asdict(config), classes, clips.frames, clips.size, recipe, weights_digest(backbone))

    @property
    def as_json(self) -> str:
        """The card as it is stored."""
        return json.dumps({**vars(self), "classes": list(self.classes), "recipe": dict(self.recipe.values)})

    @classmethod
    def from_json(cls, text: str) -> "CheckpointCard":
        """A stored card; where it is none, a ValueError, KeyError, TypeError or UsageError."""
        values = json.loads(text)
        if (where := misfit(values, CARD)) is not None or not values["classes"]:
            raise ValueError(f"its {where or 'classes'} cannot be")
        from_mapping(TrainConfig, values["settings"], "settings")
        return cls(**{**values, "classes": tuple(values["classes"]), "recipe": StoredRecipe(values["recipe"])})


@dataclass(frozen=True)
class Trained:
    """Trained models of a run, side by side as folds of one model; their names are folds of the run, or "final"."""

    model: MPT
    names: tuple[str, ...]
    config: TrainConfig
    card: CheckpointCard


def save_fold(path: Path, model: MPT, fold: int, card: CheckpointCard) -> None:
    """Write the trained weights of one fold; the frozen backbone is not among them."""
    tensors = {name: each.detach().cpu().contiguous() for name, each in _of_fold(model, fold).items()}
    write_bytes(path, save(tensors, {"card": card.as_json}))


def _of_fold(model: MPT, fold: int) -> dict[str, torch.Tensor]:
    parameters = trained_parameters(model)
    return {name: each if name.startswith("backbone.") else each[fold] for name, each in parameters.items()}


def read_card(path: Path) -> CheckpointCard:
    """What the checkpoint at `path` belongs to; a UsageError if there is none, an InvalidFile if it is damaged."""
    if not path.is_file():
        raise UsageError(f"no checkpoint at {path}; was the run made with --no-checkpoints?")
    try:
        with safe_open(path, "pt") as file:
            return CheckpointCard.from_json(file.metadata()["card"])
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, UsageError) as error:
        raise InvalidFile(f"{path} is no checkpoint of mpt-train, or is damaged ({error})") from error


def load_fold(path: Path, model: MPT, fold: int, backbone_digest: str) -> None:
    """Put a checkpoint into one fold of `model`.

    A UsageError if it belongs to another backbone, an InvalidFile if it is damaged or does not fit the model.
    """
    card = read_card(path)
    if card.backbone_digest != backbone_digest:
        raise UsageError(
            f"{path} was trained on {card.settings['backbone']} with weights {card.backbone_digest[:12]}, not "
            f"{backbone_digest[:12]}; pass the same weights as in training"
        )
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise InvalidFile(f"{path} is damaged ({error})") from error
    places = _of_fold(model, fold)
    for name in sorted({*stored, *places}):
        tensor, place = stored.get(name), places.get(name)
        if tensor is None or place is None or (tensor.shape, tensor.dtype) != (place.shape, place.dtype):
            raise InvalidFile(f"{path} does not fit its model: it differs in {name[:100]!r}")
        if not tensor.isfinite().all():
            raise InvalidFile(f"{path} holds numbers in {name} that are not finite: its training diverged")
    with torch.no_grad():
        for name, tensor in stored.items():
            places[name].copy_(tensor)


def load_trained(run: RunFolder, names: Sequence[str], device: torch.device, weights: str | None = None) -> Trained:
    """Load the checkpoints called `names`, of folds or "final"; errors are those of `load_fold`.

    `weights` is the file with the backbone's, if they are not where they were in training.
    """
    if not names:
        raise UsageError(f"{run.path} has no checkpoints to load; was it made with --no-checkpoints?")
    card = read_card(run.checkpoint(names[0]))
    config = from_mapping(TrainConfig, card.settings, str(run.checkpoint(names[0])))
    if config.amp == "bf16":  # on the machine where it was trained
        config = replace(config, amp="auto")
    backbone = build_backbone(config if weights is None else replace(config, weights=weights), card.size)
    digest = weights_digest(backbone)
    model = assemble_model(config, backbone, Shape(len(card.classes), card.frames, card.size), len(names))
    for fold, name in enumerate(names):
        run.check_checkpoint(name)
        load_fold(run.checkpoint(name), model, fold, digest)
    return Trained(model.to(device).eval(), tuple(names), config, card)
