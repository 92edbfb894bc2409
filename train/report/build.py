"""Put the report of a run together: the order of its sections."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from data_cache.console.commandline import progress
from data_cache.errors import UsageError
from data_cache.explore.clips import strips
from data_cache.explore.page import Page, Section
from train.report.figures import Paper, paper_style
from train.report.methods import write_methods
from train.report.sections.gallery import clip_entries, find_caches, gallery_section, predictions_table
from train.report.sections.scores import confusion_section, scores_section, subjects_section
from train.report.sections.training import curves_section, features_section, kernels_section
from train.results.run_folder import Run, RunFolder
from train.results.summary import split_title


def build_report(
    path: Path,
    others: Sequence[Path] = (),
    caches: Sequence[Path] = (),
    *,
    images: bool = True,
    single_file: bool = False,
    paper: Paper = "page",
) -> Path:
    """Write a page to explore, figures and tables into a run's folder: `report`, or `report-vs-<others>`.

    `caches` says where the run's are, if not where it was trained. What comes back is the path of the page. A
    UsageError if one is no run folder, is not finished or has other classes, or if a single file would be too large;
    an InvalidFile if a file of a run is damaged.
    """
    run, compared = RunFolder(path).load(), [RunFolder(other).load() for other in others]
    for other in compared:
        if set(other.classes) != set(run.classes):
            named = (f"{each.path} has the classes {', '.join(each.classes)}" for each in (other, run))
            raise UsageError(f"{', '.join(named)}; compare runs of one protocol")
    folder = path / "-vs-".join(["report", *(other.name for other in compared)])
    found = find_caches(run, caches)
    clips = clip_entries([run, *compared], found, folder, images=images, single_file=single_file)
    steps: list[Callable[[], Section | None]] = [
        lambda: scores_section(run, compared, folder),
        lambda: confusion_section(run, compared, folder),
        lambda: subjects_section(run, folder),
        lambda: gallery_section(run, folder, found if images else [], clips),
        lambda: kernels_section(run, folder),
        lambda: features_section(run, folder, [clip["key"] for clip in clips] if found else []),
        lambda: curves_section(run, folder),
        lambda: _settings(run),
    ]
    sections = []
    with progress("drawing figures", len(steps), "sections") as advance, paper_style(paper):
        for step in steps:
            sections.append(step())
            advance(1, "")
    if not images:  # of an earlier report
        for old in folder.glob("gallery.*"):
            old.unlink()
    final, notices = run.summary["final_epoch"], sorted({cache["licence_notice"] for cache in run.config["caches"]})
    if run.config["settings"]["random_weights"]:
        notices.insert(
            0, "Trained on a backbone with RANDOM weights: these scores say nothing about a pretrained model."
        )
    page = Page(
        title=f"{run.name}: {split_title(run.summary)} report",
        lead=(
            f"{final['accuracy']:.1%} accuracy over {run.summary['clips']} clips of {run.summary['subjects']} "
            f"subjects, {len(run.classes)} classes, protocol {run.config['protocol']}. Always predicting the most "
            f"frequent class gives {run.summary['majority_baseline']['accuracy']:.1%}."
        ),
        notices=notices,
        clips=clips,
        strips=strips(run.config["caches"][0]["recipe"]),
        sections=[section for section in sections if section is not None],
        classes=run.classes,
        runs=[each.name for each in (run, *compared)],
    )
    for table in (predictions_table(run), *(table for section in page.sections for table in section.tables)):
        table.write(folder)
    write_methods(run, folder)
    return page.write(folder, single_file=single_file)


def _settings(run: Run) -> Section:
    texts = [f"Cache {cache['dataset']}: content {cache['content_digest']}" for cache in run.config["caches"]]
    texts.append(f"Backbone weights: {run.config['backbone_digest']}")
    recipe = run.config["caches"][0]["recipe"]
    environment = {name: value for name, value in run.environment.items() if name != "caches"}
    blocks = [json.dumps(part, indent=2) for part in (run.config["settings"], recipe, environment)]
    return Section("settings", "Settings, recipe and environment", texts, blocks=blocks)
