"""The backbone's weights: from the hub, from a file, or random and said aloud; never silently random."""

import hashlib
import logging
import threading
from collections.abc import Callable
from math import lcm
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_cache.errors import InvalidFile, UsageError
from train.config import TrainConfig
from train.model.backbone import Backbone
from train.model.tokenizer import PATCH

log = logging.getLogger(__name__)
_HUB, _PATIENCE = "huggingface.co/", 3.0  # seconds in which the hub has to answer


def build_backbone(config: TrainConfig, size: int) -> Backbone:
    """The ViT that `config` names, for images of size×size pixels, with its weights.

    Position embeddings are interpolated where it was pretrained on images of another size.

    Raises:
        UsageError: timm has no such model, the hub cannot be reached, or the file is missing.
        InvalidFile: the file is damaged or holds the weights of another model.
    """
    name = config.backbone
    if config.random_weights:
        log.info(f"{name}: RANDOM weights (--random-weights); results say nothing about the pretrained model")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            vit = create_vit(config, size)
    elif (file := config.weights) is not None:
        vit = create_vit(config, size, lambda: _from_file(name, Path(file), size))
    else:
        vit = create_vit(config, size, lambda: _from_hub(config, size))
    return Backbone(vit, trainable=config.tuning == "full")


def create_vit(config: TrainConfig, size: int, load: Callable[[], Any] | None = None) -> Any:
    """The timm model that `config` names, cut to its depth; with fresh weights unless `load` makes it.

    A UsageError where timm has no such model, it has fewer blocks, or its patches do not divide the images.
    """
    import timm

    known, _, _ = config.backbone.partition(".")
    if not timm.is_model(known):
        near = timm.list_models(f"*{known.removeprefix('vit_')}*")[:3]
        hint = f"; did you mean {' or '.join(near)}?" if near else "; see timm.list_models('vit_*')"
        raise UsageError(f"timm has no model {config.backbone!r}{hint}")
    options = {} if config.width is None else {"embed_dim": config.width}
    drawn = torch.get_default_device().type != "meta"
    vit = _create(config.backbone, size, drawn, **options) if load is None else load()
    if size % (patch := vit.patch_embed.patch_size[0]):
        step = lcm(patch, PATCH if config.needs_motion else 1)
        first = max(1, size // step)
        raise UsageError(
            f"{config.backbone} cuts images into patches of {patch} pixels, and {size} pixels cannot be divided so; "
            f"make the cache with --size {step * first}, {step * (first + 1)} or {step * (first + 2)}, "
            "or choose another --backbone"
        )
    if config.depth is not None:
        if config.depth > len(vit.blocks):
            raise UsageError(f"--depth is {config.depth}, but {config.backbone} has {len(vit.blocks)} blocks")
        vit.blocks = nn.Sequential(*vit.blocks[: config.depth])
    return vit


def weights_digest(backbone: Backbone) -> str:
    """SHA-256 over the names, shapes and values of the backbone's weights, hex."""
    state = hashlib.sha256()
    for name, tensor in sorted(backbone.vit.state_dict().items()):
        state.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy().data)
    return state.hexdigest()


def _create(name: str, size: int, drawn: bool, **options: Any) -> Any:
    """A model of timm; where nobody needs its first weights, they are not `drawn`, which takes seconds."""
    import timm

    if not drawn and timm.models.is_model_in_modules(name, ("vision_transformer", "deit")):
        options["weight_init"] = "skip"
    try:
        return timm.create_model(name, num_classes=0, img_size=size, **options)
    except (TypeError, AssertionError) as error:
        raise UsageError(f"{name} cannot be built for images of {size} pixels: {error}") from error


def weights_place(config: TrainConfig) -> str:
    """Where the backbone's weights come from, for people."""
    if config.random_weights or config.weights is not None:
        return config.weights or "random"
    place = _hub_id(config.backbone)
    return "on disk" if downloaded(place) else f"to be fetched from {_HUB}{place}"


def _hub_id(name: str) -> str:
    import timm

    return getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None) or f"timm/{name}"


def downloaded(hub_id: str) -> Path | None:
    """The file with the weights of a model of the hub that its client fetched earlier, if it did."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(hub_id, file) for file in ("model.safetensors", "pytorch_model.bin"))
    return next((Path(file) for file in found if isinstance(file, str)), None)


def _require_hub(place: str) -> None:
    """Ask the hub once, and not for long: its client would try again and again, and look up names for ever."""
    from huggingface_hub import constants, get_session

    failed: list[Exception] = [TimeoutError()]

    def ask() -> None:
        try:
            get_session().head(f"{constants.ENDPOINT}/{place}", timeout=_PATIENCE)
        except Exception as error:  # the client has no common base for them
            failed[0] = error
        else:
            failed.clear()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE + 1)
    if failed:
        raise failed[0]


def _from_hub(config: TrainConfig, size: int) -> Any:
    name, place = config.backbone, _hub_id(config.backbone)
    log.info(f"{name}: weights {weights_place(config)}")
    if (file := downloaded(place)) is not None:
        return _from_file(name, file, size)
    try:
        _require_hub(place)
        return _create(name, size, drawn=False, pretrained=True)
    except UsageError:
        raise
    except Exception as error:  # the hub's client has no common base for 'offline', 'not found' and 'refused'
        raise UsageError(
            f"the weights of {name} could not be fetched ({type(error).__name__}). On a machine with internet access, "
            f"download model.safetensors from {_HUB}{place}, copy it here, and pass "
            "--weights model.safetensors (or --random-weights to try things out)"
        ) from error


def _from_file(name: str, path: Path, size: int) -> Any:
    """A model with the weights of a file; strict, and without running anything that a pickle may hold."""
    if not path.is_file():
        raise UsageError(f"no weights at {path}; check --weights")
    vit = _create(name, size, drawn=path.suffix == ".npz")
    try:
        if path.suffix == ".npz":  # as published by Google; timm knows the names, and may leave some as they are
            vit.load_pretrained(str(path))
            return vit
        stored = _read_tensors(path)
    except Exception as error:  # each format fails in its own way
        reason = " ".join(str(error).split())[:300]
        raise InvalidFile(f"{path} cannot be read as weights ({type(error).__name__}: {reason})") from error
    _load_strictly(vit, stored, name, path)
    return vit


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model", "model_ema"):  # training scripts wrap what they save
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    if not isinstance(stored, dict):
        raise TypeError(f"it holds a {type(stored).__name__}, expected names and tensors")
    return stored


def _load_strictly(vit: Any, stored: dict[str, torch.Tensor], name: str, path: Path) -> None:
    from timm.models.vision_transformer import checkpoint_filter_fn

    # renames CLIP's and DINOv2's tensors, and interpolates positions
    renamed = dict(checkpoint_filter_fn(stored, vit))
    weights = {key: tensor for key, tensor in renamed.items() if not key.startswith(("head.", "head_dist."))}
    expected = vit.state_dict()
    lists = {"lacks": sorted({*expected} - {*weights}), "also holds": sorted({*weights} - {*expected})}
    faults = [f"{words} {', '.join(names[:3])}" for words, names in lists.items() if names]
    for key in sorted({*expected} & {*weights}):
        if (found := tuple(weights[key].shape)) != (wanted := tuple(expected[key].shape)):
            faults.append(f"holds {key} of shape {found}, expected {wanted}")
            break
    if faults:
        raise InvalidFile(f"{path} does not hold the weights of {name}: it {'; '.join(faults)}. Check --backbone")
    vit.load_state_dict(weights)
