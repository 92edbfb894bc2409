"""Every setting of a run, in frozen dataclasses: what decides the result, and how it is executed."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from data_cache.console.options import check_options, from_mapping, option
from data_cache.errors import UsageError

_model, _training, _evaluation = (partial(option, panel=name) for name in ("Model", "Training", "Evaluation"))
_execution = partial(option, panel="Execution (does not change the result)")


@dataclass(frozen=True)
class TrainConfig:
    """What decides the result of a run. The defaults are the paper's, or our documented choice."""

    backbone: str = _model("vit_base_patch16_224.augreg_in21k", "any plain ViT of timm, by name (paper: ViT-B/16)")
    random_weights: bool = _model(False, "random instead of pretrained weights: for tests, demos and ablations")
    weights: str | None = _model(None, "file with the backbone's weights (safetensors, npz, pth) instead of the hub")
    depth: int | None = _model(None, "use only the first blocks of the backbone", minimum=1)
    width: int | None = _model(None, "width of a random backbone (with --random-weights)", minimum=16)
    tuning: Literal["prompt", "full", "probe"] = _model(
        "prompt",
        "prompt trains prompts, adapters and head (paper); full trains the backbone and the head too; probe fits ridge "
        "regression to the frozen backbone's features",
    )
    image: Literal["dynamic", "onset"] = _model(
        "dynamic", "image that the ViT sees: the dynamic image (paper), or the onset frame as a control without motion"
    )
    prompt: Literal["motion", "shallow", "deep", "none"] = _model(
        "motion", "motion prompts (paper), VPT-Shallow, VPT-Deep, or none"
    )
    prompts: int = _model(5, "prompt tokens, per layer for deep (paper: 5 motion prompts)", minimum=1, maximum=1000)
    token_activation: Literal["gelu", "none"] = _model(
        "gelu", "between convolution and pooling (the paper names none; without it most of the motion is lost)"
    )
    token_grid: int = _model(
        1, "pool each frame to G×G (paper: 1; 4 keeps where the face moved)", minimum=1, maximum=14
    )
    token_channels: int = _model(
        128, "features per patch of a motion frame (128 fits the paper's counts)", minimum=1, maximum=8192
    )
    adapter: str = _model(
        "group",
        "adapters after each block: group (paper), primitive or none; or one of your own (examples/custom_adapter.py)",
    )
    adapter_mean: Literal["none", "cross"] = _model(
        "none", "cross adds the other groups' mean tokens before Down: the second reading of the paper's text"
    )
    adapter_position: Literal["block", "ffn"] = _model(
        "block", "adapt a block's output (paper, eq. 13 to 16) or its feed-forward layer's (Houlsby et al.)"
    )
    reduction: int = _model(8, "r, the adapters' reduction factor (paper: 8)", minimum=1, maximum=8192)

    epochs: int = _training(100, "epochs (the paper gives no number)", minimum=1)
    lr: float = _training(3e-4, "learning rate of Adam (paper: 3e-4)", minimum=0)
    batch_size: int = _training(16, "clips per step and fold (paper: 16)", minimum=1, maximum=65536)
    schedule: Literal["constant", "cosine"] = _training(
        "constant", "learning rate over a fold's steps (paper: 'initial' 3e-4, nothing more)"
    )
    class_weights: Literal["none", "balanced"] = _training(
        "none", "balanced weighs classes by their inverse frequency in training (paper: plain)"
    )
    augment: Literal["none", "flip", "flip+jitter", "crop"] = _training(
        "none", "random changes, the same for the image and all motion frames (paper: none named)"
    )
    amp: Literal["auto", "bf16", "tf32", "fp32"] = _training(
        "auto", "arithmetic of the network: auto is bf16 on a GPU that has it (from Ampere on) and fp32 elsewhere"
    )
    seed: int = _training(0, "base seed; each fold derives its own from it and its name", minimum=0, maximum=2**63 - 1)
    protocol: str | None = _evaluation(None, "classes and clips; by default that of the data set")
    split: str | None = _evaluation(
        None,
        "loso: leave out a subject; lodo: a data set; kfold:5: five folds by subject; fixed: that of the protocol",
        shown="fixed if the protocol has it, else loso",
    )
    train_on: str | None = _evaluation(None, "data sets to train on, such as casme2,samm; with --test-on")
    test_on: str | None = _evaluation(None, "data sets to test on, such as smic; with --train-on")

    def __post_init__(self) -> None:
        check_options(self)
        if (self.train_on is None) != (self.test_on is None) or (self.train_on and self.split):
            raise UsageError("--train-on and --test-on go together, and are a split of their own; leave out --split")
        if not math.isfinite(self.lr):
            raise UsageError(f"lr is {self.lr}; expected a finite number, such as 3e-4")
        if self.weights and self.random_weights:
            raise UsageError("--weights and --random-weights exclude each other; give one of them")
        if self.width and not self.random_weights:
            raise UsageError("--width needs --random-weights: pretrained weights have a width of their own")
        if self.tuning != "prompt" and (self.prompt, self.adapter) != ("none", "none"):
            raise UsageError(f"--tuning {self.tuning} goes with --prompt none --adapter none: --preset {self.tuning}")

    @property
    def needs_motion(self) -> bool:
        """Whether the prompt looks at the motion sequence, which is then read; a new one that does is named here."""
        return self.prompt in ("motion",)


@dataclass(frozen=True)
class Execution:
    """How a run is executed; the result is the same to float tolerance."""

    device: str = _execution("auto", "cpu, cuda, cuda:1, …; auto takes a GPU where there is one")
    folds_at_once: int = _execution(0, "folds trained in one pass of the backbone; 0 fills the memory", minimum=0)
    cache_mode: Literal["auto", "device", "stream"] = _execution(
        "auto", "where pixels are kept: all on the device, or in the file; auto: device if they fit"
    )
    workers: int = _execution(2, "reading processes for --cache-mode stream", minimum=1, maximum=64)
    compile: bool = _execution(False, "compile the model with torch.compile")
    deterministic: bool = _execution(False, "only deterministic kernels; slower on a GPU")
    save_every: float = _execution(
        5.0,
        "minutes after which folds in training are written to disk, to go on from there; 0 for every step",
        minimum=0,
    )
    checkpoints: bool = _execution(True, "keep the trained weights of each fold (not with --tuning full or probe)")
    final: bool = _execution(
        False, "also train one model on all subjects, for use on new clips, and write its model card"
    )
    null: int = _execution(
        0,
        "also train this many copies of each fold on labels shuffled within subjects, for p against chance; 19 reach "
        "p = 0.05, 99 reach 0.01",
        minimum=0,
        maximum=9999,
    )
    subjects: str | None = _execution(None, "train only these subjects' folds, such as sub01,sub05")
    folds: str | None = _execution(None, "train only folds A:B in natural order, counted from 0")

    def __post_init__(self) -> None:
        check_options(self)
        _ = self.fold_range

    @cached_property
    def fold_range(self) -> slice:
        """`folds` as a slice; a UsageError where it is no range A:B, either end of which may be left out."""
        first, colon, last = (":" if self.folds is None else self.folds).partition(":")
        if not colon or not all(part == "" or part.isdigit() for part in (first, last)):
            raise UsageError(f"--folds is {self.folds!r}; expected A:B such as 0:5, counted from 0")
        return slice(int(first or 0), int(last) if last else None)

    @property
    def subject_names(self) -> frozenset[str]:
        """`subjects` as a set of names; empty for all."""
        return frozenset(() if self.subjects is None else map(str.strip, self.subjects.split(",")))


def resolve(preset: Mapping[str, Any], file: Path | None, given: dict[str, Any]) -> TrainConfig:
    """Settings from a preset, then a TOML file, then the command line: the later wins.

    A UsageError where the file is missing or no TOML, or names a setting that does not exist.
    """
    stored: dict[str, Any] = {}
    if file is not None:
        try:
            stored = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read as TOML: {error}") from error
        from_mapping(TrainConfig, {**preset, **stored}, str(file))
    return replace(TrainConfig(), **{**preset, **stored, **given})
