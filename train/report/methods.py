"""What a paper has to say of a run: a paragraph of methods with every departure from the paper, and BibTeX."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_cache import __version__
from data_cache.files.atomic import write_bytes
from train.config import TrainConfig
from train.results.run_folder import Run
from train.results.summary import split_title
from train.results.tables import latex

RECIPE: Mapping[str, Any] = {
    **{"frames": 16, "sampling": "nearest", "rank_pool": "bilen", "rank_pool_span": "clip"},
    **{"alpha": 20.0, "filter": "causal", "fs": "true", "low": 0.4, "high": 4.0, "order": 1, "motion_form": "additive"},
    **{"gains": "uniform", "levels": 5, "explicit_pyramid": False, "size": 224, "faces": "none", "face_margin": 0.0},
    "algorithm": 1,
}
"""The paper's recipe, with our choices where it is silent: the defaults of `mpt-preprocess`, which tests compare.

A recipe names what was added later only where it is used, so that whatever is not here is a departure.
"""
BIBTEX = f"""@article{{liu2025mpt,
  title = {{{{MPT}}: Motion Prompt Tuning for Micro-Expression Recognition}},
  author = {{Liu, Jiateng and Shi, Hengcan and Chen, Feng and Shao, Zhiwen and Wang, Yaonan and Cai, Jianfei
            and Zheng, Wenming}},
  journal = {{arXiv preprint arXiv:2508.09446}},
  year = {{2025}}
}}

@software{{mpt_software,
  title = {{motion-prompt-tuning: Motion Prompt Tuning for micro-expression recognition}},
  author = {{{{The MPT authors}}}},
  version = {{{__version__}}}
}}
"""


def write_methods(run: Run, folder: Path) -> None:
    """Write `methods.txt`, `methods.tex` and `references.bib` into `folder`."""
    text = list(methods(run))
    write_bytes(folder / "methods.txt", " ".join(text).encode() + b"\n")
    cited = latex(" ".join(text)).replace("[paper]", r"\cite{liu2025mpt}").replace("[software]", r"\cite{mpt_software}")
    write_bytes(folder / "methods.tex", cited.encode() + b"\n")
    write_bytes(folder / "references.bib", BIBTEX.encode())


def methods(run: Run) -> Iterator[str]:
    """The sentences of the paragraph; [paper] and [software] stand where they are cited."""
    settings, summary, caches = run.config["settings"], run.summary, run.config["caches"]
    recipe = {**RECIPE, **caches[0]["recipe"]}
    classes = ", ".join(
        f"{name} ({count})" for name, count in zip(run.classes, summary["final_epoch"]["support"], strict=True)
    )
    yield (
        f"We used Motion Prompt Tuning [paper] as implemented in motion-prompt-tuning {__version__} [software] on "
        f"{summary['clips']} clips of {summary['subjects']} subjects ({', '.join(each['dataset'] for each in caches)}; "
        f"protocol {run.config['protocol']}: {classes})."
    )
    yield (
        f"Each clip became {recipe['frames']} frames of {recipe['size']} × {recipe['size']} pixels "
        f"({recipe['sampling']} sampling), a dynamic image by approximate rank pooling ({recipe['rank_pool']}), and "
        f"motion magnified {recipe['alpha']:g} times by a Butterworth band-pass of order {recipe['order']} from "
        f"{recipe['low']:g} to {recipe['high']:g} Hz ({recipe['filter']}, rate {recipe['fs']}); faces: "
        f"{', '.join(dict.fromkeys(str(each['recipe'].get('faces', 'none')) for each in caches))}."
    )
    weights = "random" if settings["random_weights"] else settings["weights"] or "pretrained"
    adapters = "no adapters" if settings["adapter"] == "none" else f"{settings['adapter']} adapters"
    yield (
        f"The backbone {settings['backbone']} ({weights} weights) had {settings['prompts']} prompt tokens "
        f"({settings['prompt']}) and {adapters} (reduction {settings['reduction']}), tuning {settings['tuning']}."
    )
    arithmetic = run.environment.get("arithmetic", settings["amp"])  # what "auto" came to
    yield (
        f"Adam trained {settings['epochs']} epochs with batches of {settings['batch_size']} clips at a learning rate "
        f"of {settings['lr']:g} ({settings['schedule']}) in {arithmetic}, base seed {settings['seed']}."
    )
    yield f"Evaluation: {split_title(summary)}; scores are those of the last epoch, pooled over all tested clips."
    found = list(departures(settings, [each["recipe"] for each in caches]))
    listed = "; ".join(f"{name} {_said(value)} instead of {_said(usual)}" for name, value, usual in found)
    yield f"Departures from the paper's settings, or from the defaults where it gives none: {listed or 'none'}."


def departures(settings: Mapping[str, Any], recipes: list[dict[str, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and usual value of all that a run did otherwise; settings that older runs lack are the usual ones."""
    usual = {**asdict(TrainConfig()), **{name: settings[name] for name in ("amp", "protocol")}}  # resolved, and stated
    yield from ((name, value, usual.get(name)) for name, value in settings.items() if value != usual.get(name))
    for recipe in recipes:
        found = ((name, value, RECIPE.get(name)) for name, value in recipe.items() if value != RECIPE.get(name))
        yield from (each for each in found if recipe == recipes[0] or each[1] != recipes[0].get(each[0]))


def _said(value: Any) -> str:
    return "the default" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"
