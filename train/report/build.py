"""Put the report of a run together: the order of its sections."""

import json
from collections.abc import Sequence
from pathlib import Path

from data_cache.errors import UsageError
from train.report.page import Page, Section
from train.report.sections.gallery import find_caches, gallery_section
from train.report.sections.scores import confusion_section, scores_section, subjects_section
from train.report.sections.training import curves_section, features_section, kernels_section
from train.results.run_folder import Run, RunFolder
from train.results.summary import split_title

RANDOM_NOTICE = "Trained on a backbone with RANDOM weights: these scores say nothing about a pretrained model."


def build_report(path: Path, others: Sequence[Path] = (), caches: Sequence[Path] = (), images: bool = True) -> Path:
    """Write `report/index.html`, its figures and its tables into a run's folder.

    Args:
        path: folder of the run.
        others: runs to compare it with.
        caches: where the run's caches are, if not where it was trained.
        images: whether the report may hold pictures of clips.

    Returns:
        The path of the page.

    Raises:
        UsageError: one is no run folder, is not finished, or has other classes.
        InvalidFile: a file of a run is damaged.
    """
    run, compared = RunFolder(path).load(), [RunFolder(other).load() for other in others]
    for other in compared:
        if set(other.classes) != set(run.classes):
            raise UsageError(
                f"{other.path} has the classes {', '.join(other.classes)}, {path} has {', '.join(run.classes)}; "
                "compare runs of one protocol"
            )
    folder = path / "report"
    final = run.summary["final_epoch"]
    sections = [
        scores_section(run, compared, folder),
        confusion_section(run, compared, folder),
        subjects_section(run, folder),
        gallery_section(run, folder, find_caches(run, caches) if images else []),
        kernels_section(run, folder),
        features_section(run, folder),
        curves_section(run, folder),
        _settings(run),
    ]
    licences = sorted({cache["licence_notice"] for cache in run.config["caches"]})
    page = Page(
        title=f"{run.name}: {split_title(run.summary)} report",
        lead=(
            f"{final['accuracy']:.1%} accuracy over {run.summary['clips']} clips of {run.summary['subjects']} "
            f"subjects, {len(run.classes)} classes, protocol {run.config['protocol']}. Always predicting the most "
            f"frequent class gives {run.summary['majority_baseline']['accuracy']:.1%}."
        ),
        notices=[*([RANDOM_NOTICE] if run.config["settings"]["random_weights"] else []), *licences],
        sections=[section for section in sections if section is not None],
    )
    page.write(folder / "index.html")
    return folder / "index.html"


def _settings(run: Run) -> Section:
    texts = [f"Cache {cache['dataset']}: content {cache['content_digest']}" for cache in run.config["caches"]]
    texts.append(f"Backbone weights: {run.config['backbone_digest']}")
    recipe = run.config["caches"][0]["recipe"]
    environment = {name: value for name, value in run.environment.items() if name != "caches"}
    blocks = [json.dumps(part, indent=2) for part in (run.config["settings"], recipe, environment)]
    return Section("settings", "Settings, recipe and environment", texts, blocks=blocks)
