"""Recipes: what they refuse, their digest, and `--recipe FILE` that gives new recordings the pixels of a cache."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command, WriteFrames
from hypothesis import given
from hypothesis import strategies as st
from official_sets import casme2_tree

from data_cache.digest import digest
from data_cache.errors import UsageError
from data_cache.read.reader import CacheReader
from preprocess.motion.pyramid import laplacian_pyramid
from preprocess.recipe import ALGORITHM_VERSION, NAMED, Recipe, read_recipe


@pytest.fixture
def build(command: Command, tmp_path: Path, write_frames: WriteFrames) -> Command:
    """Build a cache from a manifest of one clip."""
    write_frames(tmp_path / "frames", range(1, 30))
    Path("own.csv").write_text("subject,clip,path,emotion,fps\np1,a,frames,happy,100\n")
    return lambda *options: command("mpt-preprocess", "manifest", "own.csv", "-j", 1, *options)


def save(recipe: object, path: Path = Path("recipe.json")) -> Path:
    path.write_text(json.dumps(recipe))
    return path


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "4a93b567cc4f6d3ba19161af72ebcb81078dc0b63fe55275aa2b6d109f2fb7fe"),
        ({"gains": "evm", "fs": "nominal:30"}, "551b54e4db4beb6e0b9addfef59a45bf0045d5aea84b58a06676da5bdd28835a"),
        ({"gains": "0,10,20,20,0"}, "10ba3b4f528d9cd47ecb8a7395df4ba273ab6cdf89e24d7d5e9bc432760d046e"),
    ],
)
def test_digests_stay_so_that_caches_stay_up_to_date(settings: dict[str, Any], expected: str) -> None:
    recipe = Recipe(**settings)
    assert (recipe.nominal_rate, recipe.listed_gains) == (
        30.0 if "fs" in settings else None,
        (0.0, 10.0, 20.0, 20.0, 0.0) if settings.get("gains", "")[:1] == "0" else None,
    )
    assert recipe.digest == expected


@given(st.integers(8, 2048))
def test_as_many_levels_as_the_size_allows(size: int) -> None:
    """One more would have a single pixel twice."""
    with pytest.raises(UsageError, match="levels is 16") as refused:
        Recipe(size=size, levels=16)
    most = int(str(refused.value).rpartition(" ")[2])
    Recipe(size=size, levels=most)
    *_, smaller, smallest = laplacian_pyramid(np.zeros((size, 2, 1)), most)
    assert len(smallest) == 1 < len(smaller)


def test_the_recipe_of_a_cache_gives_the_same_pixels_again(build: Command) -> None:
    options = ("--size", 32, "--levels", 3, "--alpha", 7, "--sampling", "box", "--filter", "filtfilt", "--gains", "evm")
    assert build(*options, "-o", "a.h5").code == 0
    stored = CacheReader("a.h5").attributes.recipe
    whole = {"format": "some fingerprint", "recipe": stored}
    for file in (Path("a.h5"), save(stored), save(whole, Path("a.fingerprint.json"))):
        done = build("--recipe", file, "-o", f"{file.name}.h5")
        assert done.code == 0, done.err
        again = CacheReader(f"{file.name}.h5")
        assert again.attributes.recipe == stored
        assert again.attributes.recipe_digest == CacheReader("a.h5").attributes.recipe_digest
        assert again.content_digest == CacheReader("a.h5").content_digest


def test_every_data_set_takes_a_recipe(command: Command, tmp_path: Path) -> None:
    casme2_tree(tmp_path / "set")
    file = save({"size": 24, "levels": 2, "alpha": 3})
    arguments = ("--root", tmp_path / "set", "--recipe", file, "--frames", 8, "-j", 1)
    assert command("mpt-preprocess", "casme2", *arguments).code == 0
    assert CacheReader("data_cache/casme2.h5").attributes.recipe == Recipe(8, size=24, levels=2, alpha=3.0).as_json()


def test_what_is_typed_wins_over_the_file(build: Command) -> None:
    file = save({"alpha": 7.0, "size": 32, "levels": 3, "low": 1.0})
    done = build("--recipe", file, "--size", 24, "--alpha", 3, "--alpha", 5, "-o", "c.h5")
    assert done.code == 0, done.err
    expected = Recipe(size=24, levels=3, low=1.0)
    for alpha in (3.0, 5.0):
        made = CacheReader(f"c-alpha{alpha:g}.h5").attributes.recipe
        assert made == expected.with_alpha(alpha).as_json()


def test_recipes_have_names_and_what_is_typed_wins(build: Command) -> None:
    assert Recipe(**read_recipe("paper")) == Recipe(**read_recipe(None)) == Recipe()
    assert Recipe(**NAMED["clean"]).stabilise == "rigid"
    for name in NAMED:
        typed = ("--size", 16, "--levels", 2, "--alpha", 3, "--blur", 0.5)
        done = build("--recipe", name, *typed, "-o", f"{name}.h5")
        assert done.code == 0, done.err
        expected = Recipe(**{**NAMED[name], "size": 16, "levels": 2, "alpha": 3.0, "blur": 0.5})
        assert CacheReader(f"{name}.h5").attributes.recipe_digest == expected.digest


def test_the_faces_of_the_file_are_honoured(build: Command) -> None:
    """csv asks for boxes, though frames that a manifest lists count as cropped otherwise."""
    recipe = ("--recipe", save({"faces": "csv", "size": 32, "levels": 3}))
    refused = build(*recipe)
    assert refused.code == 2 and "no face boxes" in refused.err
    Path("face_boxes.csv").write_text("subject,clip,x,y,width,height\np1,a,5,5,20,20\n")
    assert build(*recipe, "-o", "d.h5").code == 0
    assert build(*recipe, "-o", "e.h5", "--faces", "none").code == 0
    boxed, whole = CacheReader("d.h5"), CacheReader("e.h5")
    assert (boxed.attributes.recipe["faces"], whole.attributes.recipe["faces"]) == ("csv", "none")
    assert whole.content_digest != boxed.content_digest


def test_only_what_the_file_sets_is_taken_and_a_whole_number_stands_for_a_float(tmp_path: Path) -> None:
    assert read_recipe(save({"alpha": 3.0}, tmp_path / "r.json")) == {"alpha": 3.0}
    values = read_recipe(save({"alpha": 20, "high": 4}, tmp_path / "r.json"))
    assert digest(Recipe(**values).as_json()) == Recipe().digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"alhpa": 20.0}', "did you mean 'alpha'"),
        ('{"recipe": {"alhpa": 20.0}}', "did you mean 'alpha'"),
        ('{"alpha": "strong"}', "alpha is 'strong'"),
        ('{"alpha": NaN}', "alpha is nan"),
        ('{"low": 5.0}', "--low"),
        ('{"filter": ["causal"]}', "causal"),
        ('{"fs": "50"}', "nominal:HZ"),
        (f'{{"algorithm": {ALGORITHM_VERSION + 1}}}', "version"),
        ("[1, 2]", "no JSON object"),
        ("{", "no JSON file"),
        ("[" * 100_000, "no JSON file"),
        ("\udce9", "no JSON file"),
    ],
)
def test_a_bad_file_is_explained_in_one_line(build: Command, text: str, words: str) -> None:
    Path("recipe.json").write_bytes(text.encode(errors="surrogateescape"))
    done = build("--recipe", "recipe.json")
    assert done.code == 2 and words in done.err and "recipe.json" in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("data_cache").exists()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("half.h5", 4, ("half.h5",)),
        ("nowhere.json", 2, ("--recipe", "cannot be read")),
        ("nowhere.h5", 2, ("--recipe", "cannot be read")),
        (".", 2, ("--recipe", "cannot be read")),
        ("claen", 2, ("claen", *NAMED)),
    ],
)
def test_what_is_no_recipe_is_named(build: Command, name: str, code: int, words: tuple[str, ...]) -> None:
    Path("half.h5").write_bytes(b"\x89HDF")
    done = build("--recipe", name)
    assert done.code == code and all(word in done.err for word in words)
    assert len(done.err.strip().splitlines()) == 1
