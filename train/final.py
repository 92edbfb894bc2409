"""One model trained on all subjects, for new clips, with a card that says what to expect of it."""

import re
from pathlib import Path
from typing import Any

from data_cache.files.atomic import write_bytes
from train.results.summary import interval_name, split_title

NAME = "final"


def write_model_card(path: Path, config: dict[str, Any], summary: dict[str, Any]) -> None:
    """Describe the final model: what it was trained on, what it reached on clips left out, what it is not."""
    final, settings = summary["final_epoch"], config["settings"]
    low, high = final["interval_95"]["accuracy"]
    caches = "\n".join(
        f"- {_plain(cache['dataset'])}: content {cache['content_digest']}. {_plain(cache['licence_notice'])}"
        for cache in config["caches"]
    )
    random = "\n**Its backbone has random weights: it is for trying out the software only.**\n"
    text = f"""# Model card: {_plain(path.parent.name)}

One Motion Prompt Tuning model, trained on all {sum(config["clips"].values())} labelled clips.
{random * settings["random_weights"]}
## What to expect of it

No clip was left to test this very model. Trained in the same way on a part of them ({split_title(summary)}), it reached
{final["accuracy"]:.1%} accuracy ({interval_name(summary["subjects"])} over subjects {low:.1%} to {high:.1%}),
macro-F1 {final["macro_f1"]:.1%} and UAR {final["uar"]:.1%} on {len(summary["classes"])} classes
({_plain(", ".join(summary["classes"]))}; protocol {_plain(config["protocol"])}).
Always predicting the most frequent class would reach {summary["majority_baseline"]["accuracy"]:.1%}.

## What it is not

It knows these classes only, and predicts one of them whatever it is shown. It was trained on clips cut from onset
to offset, filmed in a laboratory; other cameras, lights, ages and acted expressions are outside what was measured.
It must not be used to judge people.

## Made from

{caches}
- backbone {settings["backbone"]}, weights {config["backbone_digest"]}
"""
    write_bytes(path, text.encode())


def _plain(text: str) -> str:
    """Text that stays what it is in Markdown: no link, no HTML, no formula."""
    return re.sub(r"[\\`*\[\]<>&$]", r"\\\g<0>", text)
