"""Named runs: the rows of the paper's tables, our extensions, and the demo."""

from dataclasses import dataclass
from typing import Any

from data_cache.errors import UsageError


@dataclass(frozen=True)
class Preset:
    """Settings that differ from the defaults, and what they are for."""

    settings: dict[str, Any]
    about: str


_HEAD = {"prompt": "none", "adapter": "none"}
_DEMO = {
    "backbone": "vit_tiny_patch16_224",
    "random_weights": True,
    "depth": 4,
    "epochs": 24,
    "lr": 1e-3,
}
PRESETS = {
    "mpt": Preset({}, "Motion Prompt Tuning as in the paper: 5 motion prompts, group adapters (5.5 M trained)"),
    "mpt-spatial": Preset({"token_grid": 4}, "our extension: motion prompts that keep where the face moved"),
    "motion-prompt": Preset({"adapter": "none"}, "Table VI: motion prompts without adapters (0.2 M)"),
    "group-adapter": Preset({"prompt": "none"}, "Table VI and VII: group adapters without prompts (3.5 M)"),
    "primitive": Preset({"adapter": "primitive"}, "Table VIII: one adapter for all tokens (2.0 M)"),
    "vpt-shallow": Preset({"prompt": "shallow", "prompts": 200}, "Table VII: learned prompts at the input (5.5 M)"),
    "vpt-deep": Preset({"prompt": "deep", "prompts": 50}, "Table VII: learned prompts in every layer (5.8 M)"),
    "head": Preset(_HEAD, "Table VI: the classification head alone (0.002 M)"),
    "full": Preset({**_HEAD, "tuning": "full"}, "Table VI: every weight of the pretrained ViT"),
    "scratch": Preset({**_HEAD, "tuning": "full", "random_weights": True}, "Table VI: every weight, from random ones"),
    "still": Preset({"prompt": "none", "image": "onset"}, "control: only the onset frame, before anything moved"),
    "demo": Preset(_DEMO, "mpt on a small random ViT, for the demo set on a CPU"),
    "demo-still": Preset(
        {**_DEMO, "prompt": "none", "image": "onset"},
        "control of the demo: the same, but only the onset frame",
    ),
}


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
