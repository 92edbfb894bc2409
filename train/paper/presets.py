"""The paper's rows in one table (settings, printed parameters and scores), and the presets made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_cache.errors import UsageError

_NOTHING = {"prompt": "none", "adapter": "none"}
_FULL = {**_NOTHING, "tuning": "full"}
_PRE_LOGITS = (
    "the backbone is 85,798,656 (timm); 86.4 needs 590,592 more, a 768→768 representation layer "
    "that older checkpoints have and timm drops"
)


@dataclass(frozen=True)
class PaperRow:
    """A model as a table prints it.

    Attributes:
        settings: what it changes against the paper's model.
        accuracy: in percent, on SMIC with three classes; None where no number is printed.
        f1: likewise.
        tables: where the paper has it; "" for our own rows.
        millions: trained parameters as printed, in millions; "" where no number is printed.
        about: what the preset of this name is for; "" where there is no preset.
        note: why our count of parameters is not the printed one, where it is not.
        alpha: magnification that the cache must have; None for the default.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    f1: float | None = None
    tables: str = ""
    millions: str = ""
    about: str = ""
    note: str = ""
    alpha: float | None = None


_BEST, _NONE = (86.59, 86.01), (None, None)
_ABOUT = "Motion Prompt Tuning as in the paper: 5 motion prompts, group adapters (5.5 M trained)"
ROWS = {
    "mpt": PaperRow("MPT", {}, *_BEST, "V to VIII", "5.5", _ABOUT),
    "scratch": PaperRow(
        "w/o pretraining", {**_FULL, "random_weights": True, "weights": None}, 73.17, 72.35, "VI", "86.4",
        "Table VI: every weight, from random ones", _PRE_LOGITS,
    ),
    "full": PaperRow(
        "full fine-tuning", _FULL, 77.44, 76.65, "VI", "86.4",
        "Table VI: every weight of the pretrained ViT", _PRE_LOGITS,
    ),
    "head": PaperRow(
        "partial fine-tuning", _NOTHING, 71.95, 70.27, "VI", "0.003",
        "Table VI: the classification head alone (0.002 M)",
        "768·3 + 3 prints as 0.002; a head with a trained class token (3,075) or rounding up would print 0.003",
    ),
    "motion-prompt": PaperRow(
        "motion prompt", {"adapter": "none"}, 82.92, 82.33, "VI, VIII", "0.2",
        "Table VI: motion prompts without adapters (0.2 M)",
    ),
    "group-adapter": PaperRow(
        "group adapter", {"prompt": "none"}, 79.27, 78.43, "VI, VII", "3.5",
        "Table VI and VII: group adapters without prompts (3.5 M)",
    ),
    "vpt-shallow": PaperRow(
        "VPT-Shallow", {"prompt": "shallow", "prompts": 200}, 81.10, 80.84, "VII", "5.5",
        "Table VII: learned prompts at the input (5.5 M)",
    ),
    "vpt-deep": PaperRow(
        "VPT-Deep", {"prompt": "deep", "prompts": 50}, 82.32, 81.79, "VII", "5.8",
        "Table VII: learned prompts in every layer (5.8 M)",
    ),
    "primitive": PaperRow(
        "primitive adapter", {"adapter": "primitive"}, 84.15, 83.56, "VIII", "2.0",
        "Table VIII: one adapter for all tokens (2.0 M)",
    ),
    **{
        str(m): PaperRow(f"{m} prompts", {"prompts": m}, accuracy, f1, "Fig. 5")
        for m, (accuracy, f1) in ((1, _NONE), (3, _NONE), (5, _BEST), (7, _NONE))
    },
    **{
        label.lower().replace("/", ""): PaperRow(label, {"backbone": f"vit_base_{model}"}, *scores, tables="IX")
        for label, model, scores in (
            ("ViT-B/16", "patch16_224.augreg_in21k", _BEST),
            ("ViT-B/32", "patch32_224.augreg_in21k", (84.76, 83.95)),
            # timm's plain clip names build the wrong GELU for OpenAI's weights.
            ("CLIP-ViT-B/16", "patch16_clip_quickgelu_224.openai", (85.37, 84.64)),
            ("CLIP-ViT-B/32", "patch32_clip_quickgelu_224.openai", (83.54, 82.56)),
        )
    },
    **{
        f"alpha{alpha}": PaperRow(f"α = {alpha}", {}, *scores, tables="X", alpha=float(alpha))
        for alpha, scores in (
            (0, (81.10, 80.54)), (10, (85.37, 84.79)), (20, _BEST), (30, (81.70, 81.44)), (50, (78.05, 77.56))
        )
    },
    **{
        f"r{r}": PaperRow(f"r = {r}", {"reduction": r}, *scores, tables="XI")
        for r, scores in ((4, (85.98, 85.32)), (8, _BEST), (12, (84.76, 84.05)))
    },
}  # fmt: skip
"""Every model that the paper measures in Tables V to XI and Fig. 5, once."""

_DEMO = {"backbone": "vit_tiny_patch16_224", "random_weights": True, "depth": 4, "epochs": 12, "lr": 1e-3}
_SPATIAL = {"token_grid": 4}
_STILL = {"prompt": "none", "image": "onset"}
_PROBE = {**_NOTHING, "tuning": "probe", "epochs": 1}
PRESETS = {name: row for name, row in ROWS.items() if row.about} | {
    "mpt-spatial": PaperRow("", _SPATIAL, about="ours: motion prompts that keep where the face moved"),
    "still": PaperRow("", _STILL, about="control: only the onset frame, before anything moved"),
    "probe": PaperRow(
        "", _PROBE, about="in a minute: do the frozen backbone's features carry signal? Ridge regression"
    ),
    "demo": PaperRow("", {**_DEMO, **_SPATIAL}, about="mpt-spatial on a small random ViT, for the demo set on a CPU"),
    "demo-paper": PaperRow(  # which needs more epochs: it still gains when the others do not any more
        "", {**_DEMO, "epochs": 24}, about="the paper's model on the same ViT, to stand beside demo"
    ),
    "demo-still": PaperRow("", {**_DEMO, **_STILL}, about="control of the demo: the same, but only the onset frame"),
}


def find_preset(name: str) -> PaperRow:
    """The preset called `name`; raises UsageError where there is none."""
    if name not in PRESETS:
        raise UsageError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
