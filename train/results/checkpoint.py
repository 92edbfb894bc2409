"""Trained weights of one fold as safetensors, with what is needed to use them safely again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from data_cache.errors import InvalidFile, UsageError
from data_cache.files.atomic import write_bytes
from train.model.mpt import MPT, trained_parameters


@dataclass(frozen=True)
class CheckpointCard:
    """What a checkpoint says of itself.

    Attributes:
        settings: the `TrainConfig` as JSON.
        classes: class names in index order.
        frames: T.
        size: side of the images in pixels.
        recipe: preprocessing recipe of the cache.
        backbone_digest: hash of the frozen weights that it belongs to.
    """

    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    frames: int
    size: int
    recipe: Mapping[str, Any]
    backbone_digest: str


def save_fold(path: Path, model: MPT, fold: int, card: CheckpointCard) -> None:
    """Write the trained weights of one fold; the frozen backbone is not among them."""
    tensors = {
        name: (parameter if name.startswith("backbone.") else parameter[fold]).detach().cpu().contiguous()
        for name, parameter in trained_parameters(model).items()
    }
    write_bytes(path, save(tensors, {"card": json.dumps(vars(card) | {"classes": list(card.classes)})}))


def read_card(path: Path) -> CheckpointCard:
    """What the checkpoint at `path` belongs to.

    Raises:
        UsageError: there is none.
        InvalidFile: it is damaged or is no checkpoint of ours.
    """
    if not path.is_file():
        raise UsageError(f"no checkpoint at {path}; was the run made with --no-checkpoints?")
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["card"])
        return CheckpointCard(**{**values, "classes": tuple(values["classes"])})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InvalidFile(f"{path} is no checkpoint of mpt-train, or is damaged ({error})") from error


def load_fold(path: Path, model: MPT, fold: int, backbone_digest: str) -> None:
    """Put a checkpoint into one fold of `model`.

    Raises:
        UsageError: it belongs to another backbone.
        InvalidFile: it is damaged or does not fit the model.
    """
    card = read_card(path)
    if card.backbone_digest != backbone_digest:
        raise UsageError(
            f"{path} was trained on {card.settings['backbone']} with weights {card.backbone_digest[:12]}, not "
            f"{backbone_digest[:12]}; pass the same weights as in training"
        )
    parameters = trained_parameters(model)
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise InvalidFile(f"{path} is damaged ({error})") from error
    if set(stored) != set(parameters):
        raise InvalidFile(f"{path} does not fit: it differs in {', '.join(sorted(set(stored) ^ set(parameters))[:3])}")
    with torch.no_grad():
        for name, tensor in stored.items():
            (parameters[name] if name.startswith("backbone.") else parameters[name][fold]).copy_(tensor)
