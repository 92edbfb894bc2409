"""One model trained on all subjects, for new clips, with a card that says what to expect of it."""

import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.console.commandline import progress
from data_cache.console.interrupt import stop_request
from data_cache.files.atomic import file_sha256, write_bytes
from train.data.folds import Fold, used_clips
from train.data.stream import open_stream
from train.data.task import ClipPixels
from train.device import SMALLER, shrinking
from train.group import Job, Keeper
from train.loop import EpochReport, FoldData, fit, require_finite
from train.model.build import build_model
from train.results.checkpoint import save_fold
from train.results.fold_record import write_record
from train.results.summary import interval_name, split_title

NAME = "final"


def train_final_model(job: Job) -> None:
    """Train it, store it as the checkpoint `final`, and describe it; what was kept of its training is removed."""
    config, task, folder = job.config, job.task, job.folder
    clips = used_clips(task.folds)
    data = FoldData(np.array(clips), task.labels(clips), Fold("all__nobody", tuple(clips), ()).seed(config.seed))
    model = build_model(config, job.backbone, task.shape, [data.seed]).to(job.device)
    stream = open_stream(ClipPixels(task.clips, config), clips, job.device, job.execution)
    with (
        closing(stream),
        stop_request() as stop,
        progress("training the final model", config.epochs, "epochs") as advance,
    ):

        def after_epoch(report: EpochReport) -> None:
            require_finite(report, [np.zeros(0)], [NAME], config)
            stream.require_unchanged()
            advance(1, f"loss {report.loss[0]:.3f}")

        keeper = Keeper(job, [NAME], stop)
        state = keeper.start()
        shrinking(
            lambda _: fit(model, stream, [data], config, after_epoch, keeper.after_step, state),
            *(1, "model", job.device, SMALLER),
        )
    path = folder.checkpoint(NAME)
    save_fold(path, model, 0, job.card)
    write_record(path.with_suffix(".json"), {"sha256": {f"checkpoints/{path.name}": file_sha256(path)}})
    write_model_card(folder.path / "MODEL_CARD.md", folder.config, folder.summary)
    shutil.rmtree(folder.path / "unfinished", ignore_errors=True)


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
