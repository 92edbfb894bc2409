"""A whole run: a task and settings in, a run folder with all folds and the summary out."""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_cache.console.commandline import progress
from data_cache.console.interrupt import stop_request
from data_cache.errors import Interrupted, UsageError, typed_command
from data_cache.files.atomic import file_sha256, write_bytes
from data_cache.names import first_few
from train.config import Execution, TrainConfig
from train.cost.accounting import bytes_per_fold, estimate_seconds, folds_at_once, meta_model, time_line
from train.data.folds import Fold, choose_folds, used_clips
from train.data.stream import open_stream
from train.data.task import ClipPixels, Task
from train.device import (
    SMALLER,
    arithmetic,
    choose_device,
    describe_environment,
    free_memory,
    halved,
    join_ranks,
    leads,
    shrinking,
)
from train.group import Groups, Job, Keeper, Scalars, train_group
from train.loop import EpochReport, FoldData, fit, require_finite
from train.model.build import build_model
from train.model.mpt import trained_count
from train.model.weights import build_backbone
from train.probe import probe_folds
from train.results.checkpoint import CheckpointCard, save_fold
from train.results.fold_record import write_record
from train.results.run_folder import RunFolder
from train.results.summary import add_null, interval_name, split_title, summarise

log = logging.getLogger(__name__)
FINAL = "final"
"""Name of the model that is trained on all subjects, and of its files."""


def train_run(
    task: Task, config: TrainConfig, execution: Execution, folder: RunFolder, overwrite: bool = False
) -> dict[str, Any] | None:
    """Train every chosen fold that is not done yet; the summary of the task, or None while folds of it are missing.

    Raises:
        StaleFile: the folder holds a run with other settings.
        UsageError: the choice of folds, the device or the weights cannot be used.
    """
    if execution.final and config.tuning != "prompt":
        raise UsageError(f"--final keeps prompts, adapters and head; it does not go with --tuning {config.tuning}")
    chosen = choose_folds(task.folds, execution)
    if execution.deterministic:  # only kernels that give the same bits every time; before the first use of a GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    ranks, device = join_ranks(), choose_device(execution.device)  # under torchrun, the GPU of this process
    if (folder.path / "config.json").exists() and not overwrite:
        config = _with_earlier_amp(config, folder, device)
    backbone = build_backbone(config, task.clips.size)
    card = CheckpointCard.of(task, config, backbone)
    job = Job(task, config, execution, folder, backbone, card, device, ranks)
    with folder.locked() if leads() else nullcontext():  # other ranks of torchrun belong to the leader
        return _run(job, chosen, overwrite)


def _with_earlier_amp(config: TrainConfig, folder: RunFolder, device: torch.device) -> TrainConfig:
    """`config`; earlier versions stored what `auto` came to, which is kept where it comes to the same here."""
    here, stored = arithmetic(config.amp, device), folder.config.get("settings", {}).get("amp")
    earlier = folder.environment.get("arithmetic", here) if (folder.path / "env.json").exists() else here
    if earlier != here:
        log.info(f"note: the folds so far were trained in {earlier}, the others will be in {here}")
    return replace(config, amp=stored) if config.amp == "auto" and stored == here else config


def _run(job: Job, chosen: Sequence[Fold], overwrite: bool) -> dict[str, Any] | None:
    task, execution, folder, ranks = job.task, job.execution, job.folder, job.ranks
    environment = describe_environment(job.device) | {
        "arithmetic": arithmetic(job.config.amp, job.device),
        "caches": [str(r.path.resolve()) for r in task.readers],
    }
    if leads() and folder.start(_description(task, job.config, job.card), environment, overwrite):
        log.info(f"{folder.path} is already finished")
    ranks.barrier()
    copies = [copy for fold in chosen for copy in fold.copies(execution.null)]
    mine = [*chosen, *copies][ranks.rank :: ranks.count]
    waiting = [fold for fold in mine if not folder.finished(fold.name)]
    if waiting and job.config.tuning == "probe":
        for fold, result in zip(waiting, probe_folds(task, job.config, job.backbone, job.device, waiting), strict=True):
            job.store(fold, result, [fold])
    elif waiting:
        _train_folds(job, mine, waiting)
    ranks.barrier()
    missing = [fold.name for fold in task.folds if not folder.finished(fold.name)]
    if missing:
        log.info(f"{len(missing)} of {len(task.folds)} folds are still to be trained: {first_few(missing, 5, ', ')}")
        return None
    if leads() and not folder.is_finished:
        folder.write_summary(summarise(folder.read_folds(), task.labelling.classes, task.split))
    if leads() and execution.null > folder.summary.get("null", {}).get("copies", 0):
        add_null(folder, task.folds, execution.null)
    ranks.barrier()
    if leads() and execution.final and not (folder.path / "MODEL_CARD.md").exists():
        _train_final_model(job)
    ranks.barrier()
    return folder.summary


def _train_folds(job: Job, mine: Sequence[Fold], waiting: Sequence[Fold]) -> None:
    config, task, ranks, folder = job.config, job.task, job.ranks, job.folder
    pixels, used = ClipPixels(task.clips, config), used_clips(mine)  # a group may hold finished folds
    stream = open_stream(pixels, used, job.device, job.execution)
    if config.tuning == "prompt":
        job.backbone.to(job.device)  # like the clips, in its place before the rest of the memory is divided
    per_fold = bytes_per_fold(config, task.shape, job.device)
    groups = Groups(
        folder.place("unfinished", f"groups-{ranks.rank}of{ranks.count}", ".json"), job.execution.folds_at_once
    )
    at_once = groups.at_once or folds_at_once(config, job.execution, per_fold, free_memory(job.device), len(waiting))
    trained = trained_count(meta_model(config, task.shape))
    said = f"{len(waiting)} folds, {at_once} at a time, on {job.device}, into {folder.path}"
    log.info(f"{trained:,} trained parameters per fold; {said}")
    if leads() and (seconds := estimate_seconds(task, waiting, config, at_once, job.device)):
        log.info(time_line(seconds / ranks.count, str(job.device)))
    scalars, by_name = Scalars(folder.path, ranks.rank), {fold.name: fold for fold in mine}
    left = groups.plan([fold.name for fold in waiting], by_name, at_once)
    total, keeper = sum(map(len, left)) * config.epochs, None
    try:
        with closing(stream), stop_request() as stop, progress("training", total, "fold-epochs") as advance:
            while left:
                keeper, done = Keeper(job, left[0], stop), False
                with suppress(torch.OutOfMemoryError):
                    train_group(job, [by_name[name] for name in left[0]], stream, scalars, advance, keeper)
                    done = True
                keeper.forget()
                if done:
                    left = left[1:]
                else:  # the size of groups decides about the last bits
                    size = halved(len(left[0]), "fold", job.device, SMALLER, fixed=job.execution.deterministic)
                    names = [name for group in left for name in group if not folder.finished(name)]
                    left = groups.plan(names, (), size)
                if stop.is_set():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        finished = sum(folder.finished(fold.name) for fold in task.folds)
        more = f", and so is {keeper.kept}" if keeper and keeper.kept else "; those in training start anew"
        raise Interrupted(
            f"interrupted; {finished} of {len(task.folds)} folds are kept{more}. Start again with: {typed_command()}"
        ) from None


def _train_final_model(job: Job) -> None:
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
            require_finite(report, [np.zeros(0)], [FINAL], config)
            stream.require_unchanged()
            advance(1, f"loss {report.loss[0]:.3f}")

        keeper = Keeper(job, [FINAL], stop)
        state = keeper.start()
        shrinking(
            lambda _: fit(model, stream, [data], config, after_epoch, keeper.after_step, state),
            *(1, "model", job.device, SMALLER),
        )
    path = folder.checkpoint(FINAL)
    save_fold(path, model, 0, job.card)
    write_record(path.with_suffix(".json"), {"sha256": {f"checkpoints/{path.name}": file_sha256(path)}})
    _write_model_card(folder.path / "MODEL_CARD.md", folder.config, folder.summary)
    shutil.rmtree(folder.path / "unfinished", ignore_errors=True)


def _write_model_card(path: Path, config: dict[str, Any], summary: dict[str, Any]) -> None:
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


def _description(task: Task, config: TrainConfig, card: CheckpointCard) -> dict[str, Any]:
    """What decides the result, as stored in config.json."""
    return {
        "settings": asdict(config),
        "protocol": task.protocol,
        "classes": list(task.labelling.classes),
        "clips": dict(task.labelling.counts),
        "subjects": [fold.name for fold in task.folds],
        "division": task.division,
        "caches": [
            {
                "dataset": reader.attributes.dataset,
                "content_digest": reader.content_digest,
                "recipe": reader.attributes.recipe,
                "licence_notice": reader.attributes.licence_notice,
            }
            for reader in task.readers
        ],
        "backbone_digest": card.backbone_digest,
    }
