"""The backbone's weights: from the hub, from a file, or random and said aloud; never silently random."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_cache.commandline import say
from data_cache.errors import InvalidFile, UsageError
from train.config import TrainConfig
from train.model.backbone import Backbone


def build_backbone(config: TrainConfig, size: int) -> Backbone:
    """The ViT that `config` names, for images of size×size pixels, with its weights.

    Position embeddings are interpolated where it was pretrained on images of another size.

    Raises:
        UsageError: timm has no such model, the hub cannot be reached, or the file is missing.
        InvalidFile: the file is damaged or holds the weights of another model.
    """
    import timm

    extra: dict[str, Any] = {"embed_dim": config.width} if config.width is not None else {}
    if not timm.is_model(config.backbone.partition(".")[0]):
        near = timm.list_models(f"*{config.backbone.partition('.')[0].removeprefix('vit_')}*")[:3]
        raise UsageError(
            f"timm has no model {config.backbone!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
        )
    if config.weights is None and not config.random_weights:
        vit = _from_hub(config.backbone, size)
    elif config.weights is not None:
        vit = _from_file(config.backbone, Path(config.weights), size)
    else:
        say(f"{config.backbone}: RANDOM weights (--random-weights); results say nothing about the pretrained model")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            vit = _create(config.backbone, size, **extra)
    if config.depth is not None:
        if config.depth > len(vit.blocks):
            raise UsageError(f"--depth {config.depth}, but {config.backbone} has {len(vit.blocks)} blocks")
        vit.blocks = nn.Sequential(*vit.blocks[: config.depth])
    return Backbone(vit, trainable=config.tuning == "full")


def weights_digest(backbone: Backbone) -> str:
    """SHA-256 over the names, shapes and values of the backbone's weights, hex."""
    state = hashlib.sha256()
    for name, tensor in sorted(backbone.vit.state_dict().items()):
        state.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy().data)
    return state.hexdigest()


def _create(name: str, size: int, **options: Any) -> Any:
    import timm

    try:
        return timm.create_model(name, num_classes=0, img_size=size, **options)
    except (TypeError, AssertionError) as error:
        raise UsageError(f"{name} cannot be built for images of {size} pixels: {error}") from error


def _from_hub(name: str, size: int) -> Any:
    import timm

    try:
        return _create(name, size, pretrained=True)
    except Exception as error:  # the hub's client has no common base for 'offline', 'not found' and 'refused'
        if isinstance(error, UsageError):
            raise
        config = timm.get_pretrained_cfg(name)
        place = getattr(config, "hf_hub_id", None) or "timm/" + name
        raise UsageError(
            f"the weights of {name} could not be fetched ({type(error).__name__}). On a machine with internet access, "
            f"download model.safetensors from huggingface.co/{place}, copy it here, and pass "
            "--weights model.safetensors (or --random-weights to try things out)"
        ) from error


def _from_file(name: str, path: Path, size: int) -> Any:
    if not path.is_file():
        raise UsageError(f"no weights at {path}; check --weights")
    try:
        # timm drops the classifier, interpolates positions, and never unpickles code.
        return _create(name, size, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    except UsageError:
        raise
    except Exception as error:  # each file format fails in its own way
        reason = " ".join(str(error).split())[:300]
        raise InvalidFile(f"{path} does not hold the weights of {name} ({type(error).__name__}: {reason})") from error
