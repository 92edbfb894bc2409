"""The paragraph of methods: what a run did otherwise than the paper is in it, and nothing else."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from preprocess.recipe import Recipe
from train.config import TrainConfig
from train.report.methods import RECIPE, departures, methods, write_methods
from train.results.run_folder import Run, RunFolder

ARCHIVED = Path(__file__).parents[1] / "archive/run-v1"
STATED = {"amp", "protocol"}
"""Settings whose value is in the paragraph whatever it is."""


def run_with(settings: dict[str, Any], recipe: dict[str, Any]) -> Run:
    run = RunFolder(ARCHIVED).load()
    caches = [{**run.config["caches"][0], "recipe": recipe}]
    return replace(run, config={**run.config, "settings": {**asdict(TrainConfig()), **settings}, "caches": caches})


def another(value: Any, hint: Any) -> Any:
    """A value other than the usual one, of the kind that the setting takes."""
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else 7 if int in get_args(hint) else "a_b & 50%"


def changed(settings: type) -> list[tuple[str, Any]]:
    usual, hints = settings(), get_type_hints(settings)
    names = [field.name for field in fields(settings) if field.name not in STATED]
    return [(name, another(getattr(usual, name), hints[name])) for name in names]


def listed(run: Run) -> str:
    return list(methods(run))[-1]


def test_the_paper_itself_departs_in_nothing() -> None:
    assert Recipe().as_json() == RECIPE
    assert listed(run_with({}, Recipe().as_json())).endswith(": none.")


@pytest.mark.parametrize(("name", "value"), changed(TrainConfig))
def test_a_changed_setting_of_training_appears(name: str, value: Any) -> None:
    assert [each[:2] for each in departures(asdict(TrainConfig()) | {name: value}, [dict(RECIPE)])] == [(name, value)]
    said = str(value).lower() if isinstance(value, bool) else value
    assert f": {name} {said} instead of " in listed(run_with({name: value}, dict(RECIPE)))


@pytest.mark.parametrize(("name", "value"), changed(Recipe))
def test_a_changed_setting_of_the_recipe_appears(name: str, value: Any) -> None:
    said = str(value).lower() if isinstance(value, bool) else value
    assert f": {name} {said} instead of " in listed(run_with({}, {**RECIPE, name: value}))


def test_each_cache_of_several_is_heard() -> None:
    caches = [dict(RECIPE), {**RECIPE, "faces": "auto"}]
    assert list(departures(asdict(TrainConfig()), caches)) == [("faces", "auto", "none")]


def test_names_are_escaped_and_what_is_cited_is_there(tmp_path: Path) -> None:
    write_methods(run_with({"backbone": "a_b & 50%"}, dict(RECIPE)), tmp_path)
    tex, bib = ((tmp_path / name).read_text(encoding="utf-8") for name in ("methods.tex", "references.bib"))
    assert r"a\_b \& 50\%" in tex and "a_b & 50%" in (tmp_path / "methods.txt").read_text(encoding="utf-8")
    assert tex.count(r"\cite{") == 2 and all(f"{{{key}," in bib for key in ("liu2025mpt", "mpt_software"))
    assert bib.count("{") == bib.count("}")
