"""Every setting of a run, in frozen dataclasses: what decides the result, and how it is executed."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from data_cache.console.options import check_options, from_mapping, option
from data_cache.errors import UsageError

_MODEL = "Model"
_TRAINING = "Training"
_EVALUATION = "Evaluation"
_EXECUTION = "Execution (does not change the result)"


@dataclass(frozen=True)
class TrainConfig:
    """What decides the result of a run. The defaults are the paper's, or our documented choice."""

    backbone: str = option(
        "vit_base_patch16_224.augreg_in21k", "any plain ViT of timm, by name (paper: ViT-B/16)", panel=_MODEL
    )
    random_weights: bool = option(
        False, "random instead of pretrained weights: for tests, demos and ablations", panel=_MODEL
    )
    weights: str | None = option(
        None, "file with the backbone's weights (safetensors, npz, pth) instead of the hub", panel=_MODEL
    )
    depth: int | None = option(None, "use only the first blocks of the backbone", panel=_MODEL, minimum=1)
    width: int | None = option(None, "width of a random backbone (with --random-weights)", panel=_MODEL, minimum=16)
    tuning: Literal["prompt", "full"] = option(
        "prompt",
        "prompt trains prompts, adapters and head (paper); full trains the backbone and the head too",
        panel=_MODEL,
    )
    image: Literal["dynamic", "onset"] = option(
        "dynamic",
        "image that the ViT sees: the dynamic image (paper), or the onset frame as a control without motion",
        panel=_MODEL,
    )
    prompt: Literal["motion", "shallow", "deep", "none"] = option(
        "motion", "motion prompts (paper), VPT-Shallow, VPT-Deep, or none", panel=_MODEL
    )
    prompts: int = option(
        5, "prompt tokens, per layer for deep (paper: 5 motion prompts)", panel=_MODEL, minimum=1, maximum=1000
    )
    token_activation: Literal["gelu", "none"] = option(
        "gelu",
        "between convolution and pooling (the paper names none; without it most of the motion is lost)",
        panel=_MODEL,
    )
    token_grid: int = option(
        1, "pool each frame to G×G (paper: 1; 4 keeps where the face moved)", panel=_MODEL, minimum=1, maximum=14
    )
    token_channels: int = option(
        128, "features per patch of a motion frame (128 fits the paper's counts)", panel=_MODEL, minimum=1
    )
    adapter: str = option(
        "group",
        "adapters after each block: group (paper), primitive or none; or one of your own (examples/custom_adapter.py)",
        panel=_MODEL,
    )
    adapter_mean: Literal["none", "cross"] = option(
        "none",
        "cross adds the other groups' mean tokens before Down: the second reading of the paper's text",
        panel=_MODEL,
    )
    adapter_position: Literal["block", "ffn"] = option(
        "block",
        "adapt a block's output (paper, eq. 13 to 16) or its feed-forward layer's (Houlsby et al.)",
        panel=_MODEL,
    )
    reduction: int = option(8, "r, the adapters' reduction factor (paper: 8)", panel=_MODEL, minimum=1)

    epochs: int = option(100, "epochs (the paper gives no number)", panel=_TRAINING, minimum=1)
    lr: float = option(3e-4, "learning rate of Adam (paper: 3e-4)", panel=_TRAINING, minimum=0)
    batch_size: int = option(16, "clips per step and fold (paper: 16)", panel=_TRAINING, minimum=1)
    schedule: Literal["constant", "cosine"] = option(
        "constant", "learning rate over a fold's steps (paper: 'initial' 3e-4, nothing more)", panel=_TRAINING
    )
    class_weights: Literal["none", "balanced"] = option(
        "none", "balanced weighs classes by their inverse frequency in training (paper: plain)", panel=_TRAINING
    )
    augment: Literal["none", "flip", "flip+jitter", "crop"] = option(
        "none", "random changes, the same for the image and all motion frames (paper: none named)", panel=_TRAINING
    )
    amp: Literal["auto", "bf16", "fp32"] = option(
        "auto", "arithmetic of the network: auto is bf16 on a GPU and fp32 elsewhere", panel=_TRAINING
    )
    seed: int = option(0, "base seed; each fold derives its own from it and its subject", panel=_TRAINING, minimum=0)
    protocol: str | None = option(None, "classes and clips; by default that of the data set", panel=_EVALUATION)

    def __post_init__(self) -> None:
        check_options(self)
        if self.weights and self.random_weights:
            raise UsageError("--weights and --random-weights exclude each other; give one of them")
        if self.width and not self.random_weights:
            raise UsageError("--width needs --random-weights: pretrained weights have a width of their own")
        if self.tuning == "full" and (self.prompt, self.adapter) != ("none", "none"):
            raise UsageError("--tuning full goes with --prompt none --adapter none; see --preset full")

    def resolved_amp(self, device_type: str) -> Literal["bf16", "fp32"]:
        """The arithmetic on a device of this type ("cpu", "cuda")."""
        if self.amp == "auto":
            return "bf16" if device_type == "cuda" else "fp32"
        return self.amp

    def as_json(self) -> dict[str, Any]:
        """The settings as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str = "config") -> "TrainConfig":
        """Settings stored as `values`.

        Raises:
            UsageError: unknown names or bad values.
        """
        return from_mapping(cls, values, where)


@dataclass(frozen=True)
class Execution:
    """How a run is executed; the result is the same to float tolerance.

    Attributes:
        fold_range: `folds` as a slice.
        subject_names: `subjects` as a set of names; empty for all.
    """

    device: str = option("auto", "cpu, cuda, cuda:1, …; auto takes a GPU where there is one", panel=_EXECUTION)
    folds_at_once: int = option(
        0, "folds trained in one pass of the backbone; 0 fills the memory", panel=_EXECUTION, minimum=0
    )
    cache_mode: Literal["auto", "device", "stream"] = option(
        "auto", "where pixels are kept: all on the device, or in the file; auto: device if they fit", panel=_EXECUTION
    )
    workers: int = option(2, "reading processes for --cache-mode stream", panel=_EXECUTION, minimum=1, maximum=64)
    compile: bool = option(False, "compile the model with torch.compile", panel=_EXECUTION)
    deterministic: bool = option(False, "only deterministic kernels; slower on a GPU", panel=_EXECUTION)
    checkpoints: bool = option(True, "keep the trained weights of each fold (not with --tuning full)", panel=_EXECUTION)
    final: bool = option(
        False, "also train one model on all subjects, for use on new clips, and write its model card", panel=_EXECUTION
    )
    subjects: str | None = option(None, "train only these subjects' folds, such as sub01,sub05", panel=_EXECUTION)
    folds: str | None = option(None, "train only folds A:B in natural order, counted from 0", panel=_EXECUTION)
    fold_range: slice = field(init=False, repr=False)
    subject_names: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Parsed once, here; object.__setattr__ because the class is frozen.
        names = [] if self.subjects is None else self.subjects.split(",")
        object.__setattr__(self, "fold_range", _parse_folds(":" if self.folds is None else self.folds))
        object.__setattr__(self, "subject_names", frozenset(name.strip() for name in names))
        check_options(self)


def _parse_folds(text: str) -> slice:
    """The range A:B as a slice; either end may be left out.

    Raises:
        UsageError: it is no such range.
    """
    first, colon, last = text.partition(":")
    if not colon or not all(part == "" or part.isdigit() for part in (first, last)):
        raise UsageError(f"--folds is {text!r}; expected A:B such as 0:5, counted from 0")
    return slice(int(first or 0), int(last) if last else None)


def resolve(preset: Mapping[str, Any], file: Path | None, given: dict[str, Any]) -> TrainConfig:
    """Settings from a preset, then a TOML file, then the command line: the later wins.

    Raises:
        UsageError: the file is missing or no TOML, or names a setting that does not exist.
    """
    stored: dict[str, Any] = {}
    if file is not None:
        try:
            stored = tomllib.loads(file.read_text())
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read as TOML: {error}") from error
        from_mapping(TrainConfig, {**preset, **stored}, str(file))
    return replace(TrainConfig(), **{**preset, **stored, **given})
