"""A whole run: a task and settings in, a run folder with all folds and the summary out."""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch

from data_cache import __version__
from data_cache.console.commandline import progress
from data_cache.console.interrupt import stop_request
from data_cache.digest import digest
from data_cache.errors import Interrupted, UsageError, typed_command
from data_cache.files.checksum import file_sha256
from train import final
from train.config import Execution, TrainConfig
from train.cost.accounting import bytes_per_fold, folds_at_once
from train.data.clips import ClipPixels
from train.data.folds import Fold, choose_folds, used_clips
from train.data.stream import Stream, open_stream
from train.data.task import Task
from train.device import (
    Ranks,
    arithmetic,
    choose_device,
    describe_environment,
    free_memory,
    join_ranks,
    leads,
    shrinking,
)
from train.group import Groups, Keeper, Scalars, train_group
from train.loop import EpochReport, FoldData, fit, require_finite
from train.model.backbone import Backbone
from train.model.build import build_model
from train.model.mpt import trained_parameters
from train.model.weights import build_backbone
from train.plan import estimate_seconds, time_line
from train.probe import probe_folds
from train.results.checkpoint import CheckpointCard, save_fold
from train.results.fold_record import FoldResult, write_record
from train.results.run_folder import RunFolder
from train.results.summary import add_null, keep_copy, summarise
from train.trace import shown_fold, write_overview

log = logging.getLogger(__name__)
_ADVICE = (
    "a smaller --batch-size, or --cache-mode stream, and with several processes on it a lower --folds-at-once for each"
)


@dataclass(frozen=True)
class _Job:
    """All that the steps of a run share."""

    task: Task
    config: TrainConfig
    execution: Execution
    folder: RunFolder
    backbone: Backbone
    card: CheckpointCard
    device: torch.device
    ranks: Ranks


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
    ranks = join_ranks()
    device = choose_device(execution.device, ranks.local)
    if (folder.path / "config.json").exists() and not overwrite:
        config = _with_earlier_amp(config, folder, device)
    backbone = build_backbone(config, task.clips.size)
    card = CheckpointCard.of(task, config, backbone)
    job = _Job(task, config, execution, folder, backbone, card, device, ranks)
    with folder.locked() if leads() else nullcontext():  # other ranks of torchrun belong to the leader
        return _run(job, chosen, overwrite)


def _with_earlier_amp(config: TrainConfig, folder: RunFolder, device: torch.device) -> TrainConfig:
    """`config`; earlier versions stored what `auto` came to, which is kept where it comes to the same here."""
    here, stored = arithmetic(config.amp, device), folder.config.get("settings", {}).get("amp")
    earlier = folder.environment.get("arithmetic", here) if (folder.path / "env.json").exists() else here
    if earlier != here:
        log.info(f"note: the folds so far were trained in {earlier}, the others will be in {here}")
    return replace(config, amp=stored) if config.amp == "auto" and stored == here else config


def _run(job: _Job, chosen: Sequence[Fold], overwrite: bool) -> dict[str, Any] | None:
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
            _store(job, fold, result, [fold])
    elif waiting:
        _train_folds(job, mine, waiting)
    ranks.barrier()
    missing = [fold.name for fold in task.folds if not folder.finished(fold.name)]
    if missing:
        log.info(f"{len(missing)} of {len(task.folds)} folds are still to be trained: {', '.join(missing[:5])} …")
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


def _train_folds(job: _Job, mine: Sequence[Fold], waiting: Sequence[Fold]) -> None:
    config, task, ranks, folder = job.config, job.task, job.ranks, job.folder
    trained = sum(p.numel() for p in trained_parameters(build_model(config, job.backbone, task.shape, [0])).values())
    pixels, used = ClipPixels(task.clips, config), used_clips(mine)  # a group may hold finished folds
    stream = open_stream(pixels, used, job.device, job.execution)
    if config.tuning == "prompt":
        job.backbone.to(job.device)  # like the clips, in its place before the rest of the memory is divided
    per_fold = bytes_per_fold(config, job.backbone, task.shape, trained, job.device)
    note = folder.place("unfinished", f"groups-{ranks.rank}of{ranks.count}", ".json")
    groups = Groups(note, job.execution.folds_at_once)
    at_once = groups.at_once or folds_at_once(config, job.execution, per_fold, free_memory(job.device), len(waiting))
    log.info(
        f"{trained:,} trained parameters per fold; {len(waiting)} folds, {at_once} at a time, on {job.device}, "
        f"into {folder.path}"
    )
    if leads() and (seconds := estimate_seconds(task, waiting, config, at_once, job.device)):
        log.info(time_line(seconds / ranks.count, str(job.device)))
    scalars, by_name = Scalars(folder.path, ranks.rank), {fold.name: fold for fold in mine}
    left = groups.plan([fold.name for fold in waiting], by_name, at_once)
    total, keeper = sum(map(len, left)) * config.epochs, None
    try:
        with stop_request() as stop, progress("training", total, "fold-epochs") as advance:

            def attempt(size: int) -> None:
                nonlocal left, keeper
                if size < len(left[0]):  # memory did not suffice for more
                    names = [name for group in left for name in group if not folder.finished(name)]
                    left = groups.plan(names, (), size)
                keeper = _keeper(job, left[0], stop)
                try:
                    _train_group(job, [by_name[name] for name in left[0]], stream, scalars, advance, keeper)
                except torch.OutOfMemoryError:
                    keeper.forget()
                    if job.execution.deterministic:
                        raise UsageError(
                            f"out of memory on {job.device} with {size} folds, which --deterministic keeps together; "
                            "give a lower --folds-at-once"
                        ) from None
                    raise
                keeper.forget()

            while left:
                shrinking(attempt, len(left[0]), "fold", job.device, _ADVICE)
                left = left[1:]
                if stop.is_set():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        finished = sum(folder.finished(fold.name) for fold in task.folds)
        more = f", and so is {keeper.kept}" if keeper and keeper.kept else "; those in training start anew"
        raise Interrupted(
            f"interrupted; {finished} of {len(task.folds)} folds are kept{more}. Start again with: {typed_command()}"
        ) from None
    finally:
        stream.close()


def _keeper(job: _Job, names: Sequence[str], stop: Event) -> Keeper:
    about = {
        "folds": list(names),
        "epochs": job.config.epochs,
        "config": digest(job.folder.config),
        "version": __version__,  # another may order the weights in another way
    }
    return Keeper(job.folder.place("unfinished", names[0], ".safetensors"), about, job.execution.save_every, stop)


def _train_group(
    job: _Job, group: list[Fold], stream: Stream, scalars: Scalars, advance: Callable[[int, str], None], keeper: Keeper
) -> None:
    config, task, shown = job.config, job.task, 0

    def after_epoch(report: EpochReport, speed: float) -> None:
        nonlocal shown
        scalars.write(report, [fold.name for fold in group], speed)
        loss, accuracy = report.loss.mean(), report.accuracy.mean()
        note = f"epoch {report.epoch}/{config.epochs}  loss {loss:.3f}  train acc {accuracy:.0%}"
        advance(len(group) * (report.epoch - shown), f"{note}  {speed:.0f} clips/s")
        shown = report.epoch

    fresh = job.backbone if config.tuning == "prompt" else build_backbone(config, task.clips.size)
    model = build_model(config, fresh, task.shape, [fold.seed(config.seed) for fold in group]).to(job.device)
    if job.execution.compile:
        model.compile()
    results = train_group(task, group, config, model, stream, after_epoch, keeper)
    for fold, result in enumerate(results):
        if job.folder.finished(result.name):
            continue  # written by an attempt that was killed among these files
        if job.execution.checkpoints and config.tuning == "prompt" and not group[fold].shuffle:
            save_fold(job.folder.checkpoint(result.name), model, fold, job.card)
        beside = []
        if result.name == shown_fold(task).name:
            beside = [job.folder.path / "overview.safetensors"]
            write_overview(beside[0], task, group, model, stream, config)
        _store(job, group[fold], result, group, beside)


def _store(job: _Job, fold: Fold, result: FoldResult, group: Sequence[Fold], beside: Sequence[Path] = ()) -> None:
    if fold.shuffle:
        keep_copy(job.folder, result)
    else:
        job.folder.write_fold(result, [each.name for each in group], beside)


def _train_final_model(job: _Job) -> None:
    config, task = job.config, job.task
    clips = used_clips(task.folds)
    data = FoldData(np.array(clips), task.labels(clips), Fold("all__nobody", tuple(clips), ()).seed(config.seed))
    stream = open_stream(ClipPixels(task.clips, config), clips, job.device, job.execution)
    model = build_model(config, job.backbone, task.shape, [data.seed]).to(job.device)
    with stop_request() as stop, progress("training the final model", config.epochs, "epochs") as advance:
        keeper = _keeper(job, [final.NAME], stop)

        def after_epoch(report: EpochReport) -> None:
            require_finite(report, [np.zeros(0)], [final.NAME], config)
            stream.require_unchanged()
            advance(1, f"loss {report.loss[0]:.3f}")

        with closing(stream):
            state = keeper.start()
            shrinking(
                lambda _: fit(model, stream, [data], config, after_epoch, keeper.after_step, state),
                *(1, "model", job.device, _ADVICE),
            )
    path = job.folder.checkpoint(final.NAME)
    save_fold(path, model, 0, job.card)
    write_record(path.with_suffix(".json"), {"sha256": {f"checkpoints/{path.name}": file_sha256(path)}})
    final.write_model_card(job.folder.path / "MODEL_CARD.md", job.folder.config, job.folder.summary)
    shutil.rmtree(job.folder.path / "unfinished", ignore_errors=True)


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
