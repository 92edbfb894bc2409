"""Pages made from the code when the site is built: every setting with its default, and the API, a page per module.

Run it to read the page of settings as Markdown:  python docs/hooks/settings_page.py
"""

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any, get_type_hints

from command_page import cell, value

INTRODUCTION = """# Settings

Every setting of a cache and of a run: its name in `recipe.json`, `config.json` and TOML files, its default, and
what it takes. On the command line the same names have dashes: `token_grid` is `--token-grid`.
"""
GROUPS = {
    ("preprocess.recipe", "Recipe"): "What decides the pixels of a cache; stored in it.",
    ("preprocess.recipe", "BuildOptions"): "How a cache is built; the pixels are the same.",
    ("train.config", "TrainConfig"): "What decides the result of a run; stored in `config.json`.",
    ("train.config", "Execution"): "How a run is executed; the result is the same to float tolerance.",
}
API = {
    "data_cache": "read.reader schema read.validate write.shards protocols.protocol "
    "protocols.published sharing.download sharing.fingerprint filters "
    "explore.charts explore.page console.options errors",
    "preprocess": "recipe clip datasets.base datasets.find datasets.collect datasets.manifest "
    "frames.read motion.temporal motion.pyramid motion.magnify pipeline job.build check",
    "train": "config job loop data.task data.folds data.stream model.mpt model.backbone model.tokenizer "
    "model.prompts model.adapters model.fold_linear model.build model.weights results.metrics results.summary "
    "results.run_folder results.checkpoint paper.presets paper.studies cost.accounting predict.ensemble report.build "
    "report.compare report.figures report.methods",
}
"""The modules that others may build on, package by package."""


def on_config(config: Any, **_: Any) -> Any:
    """Put the pages of the API at the end of the reference."""
    reference = next(part["Reference"] for part in config.nav if isinstance(part, dict) and "Reference" in part)
    listed = [{package: [{name: _place(package, name)} for name in API[package].split()]} for package in API]
    reference.append({"API": listed})
    return config


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/settings.md", content=page()))
    for package, names in API.items():
        for name in names.split():
            text = f"---\nsearch:\n  exclude: true\n---\n\n# {package}.{name}\n\n::: {package}.{name}\n"
            text += "    options:\n      show_root_heading: false\n      heading_level: 2\n"
            files.append(File.generated(config, _place(package, name), content=text))
    return files


def page() -> str:
    """The page of settings as Markdown."""
    return "\n".join([INTRODUCTION, *(line for group in GROUPS for line in _section(*group))])


def settings(module: str, name: str) -> tuple[type, dict[str, Any]]:
    """A class of settings, and its fields that are options."""
    found = getattr(importlib.import_module(module), name)
    return found, {field.name: field for field in dataclasses.fields(found) if "help" in field.metadata}


def _section(module: str, name: str) -> Iterator[str]:
    kind, fields = settings(module, name)
    hints = get_type_hints(kind)
    yield f"## {name}\n\n`{module}.{name}`. {GROUPS[module, name]}\n"
    panel: object = ...
    for field in fields.values():
        if field.metadata["panel"] != panel:
            panel = field.metadata["panel"]
            yield f"\n**{panel or 'Version'}**\n\n| setting | default | takes | |\n|---|---|---|---|"
        default = field.metadata["shown"] or ("none" if field.default is None else str(field.default).lower())
        takes = "true, false" if hints[field.name] is bool else value(hints[field.name])
        limits = [field.metadata[end] for end in ("minimum", "maximum")]
        takes += "".join(
            f", {word} {end:g}" for word, end in zip(("from", "to"), limits, strict=True) if end is not None
        )
        yield f"| `{field.name}` | {cell(default)} | {cell(takes)} | {cell(field.metadata['help'])} |"
    yield ""


def _place(package: str, name: str) -> str:
    return f"reference/api/{package}.{name}.md"


if __name__ == "__main__":
    print(page())
