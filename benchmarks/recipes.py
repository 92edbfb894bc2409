"""The study of recipes: five models on the demo set's easy and hard tier, each made with three recipes, three seeds.

    python benchmarks/recipes.py [--folder study-recipes] [--generator-seed 1] [--tier hard] [--tiny]

Choose a recipe on one generator seed and report on another. One thread for each training, so that a run gives the same
numbers again. Stop it at any time: the same command goes on. It leaves in FOLDER

    data_cache/<tier>-<recipe>.h5       six caches of 200 clips at 80 pixels
    runs/<tier>-<recipe>-recipes-…      90 runs
    runs/study-recipes.csv .tex .pdf .png   accuracy, macro-F1 and UAR with intervals over subjects, and each seed
    comparisons-<tier>.json             for each model: clean against the other two recipes, over all seeds

`--tiny` goes through all of it with few clips and a tiny network; its numbers mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

TIERS = ("easy", "hard")
RECIPES = {
    "paper": ("--recipe", "paper"),
    "clean": ("--recipe", "clean"),
    "clean-moving": ("--recipe", "clean", "--stabilise", "none"),
}
EPOCHS = {"paper": 24, "clean": 12, "clean-moving": 12}
"""The paper's recipe is learned more slowly; accuracies with the others are flat before the twelfth epoch."""
MODELS = ("mpt", "spatial", "group-adapter", "probe", "still")
TINY = ("--backbone", "test_vit", "--depth", "1", "--width", "16", "--token-channels", "4", "--epochs", "1")


def call(folder: Path, module: str, *arguments: object) -> str:
    """Run one of our commands in `folder`; what it printed."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    print("$", module, *arguments, flush=True)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Draw, preprocess, train, report, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("study-recipes"))
    parser.add_argument("--generator-seed", type=int, default=1)
    parser.add_argument("--tier", choices=TIERS, action="append", help="by default both; one each for two processes")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    tiers, how = given.tier or TIERS, ("--preset", "demo-paper", "--device", "cpu")
    size, persons, seeds, more = (32, 2, 2, TINY) if given.tiny else (80, 8, 3, ())
    given.folder.mkdir(parents=True, exist_ok=True)
    for tier in tiers:
        drawn = ("demo", "--tier", tier, "--root", f"datasets/demo-{tier}", "--seed", given.generator_seed)
        for recipe, options in RECIPES.items():
            cache = f"data_cache/{tier}-{recipe}.h5"
            chosen = (*drawn, "--subjects", persons, *options, "--size", size, "-o", cache)
            call(given.folder, "preprocess.cli", *chosen)
    for tier in tiers:
        for recipe in RECIPES:
            name = f"{tier}-{recipe}"
            study = ("--study", "recipes", "--seeds", seeds, "--name", name, "--epochs", EPOCHS[recipe])
            print(call(given.folder, "train", "--cache", f"data_cache/{name}.h5", *study, *how, *more))
    print(call(given.folder, "train.report.cli", "--study", "recipes"))
    for tier in tiers:
        comparisons = []
        for model in MODELS:
            for other in ("paper", "clean-moving"):
                sides = [f"runs/{tier}-{recipe}-recipes-{model}" for recipe in ("clean", other)]
                if not all((given.folder / f"{side}-seed{seeds - 1}" / "summary.json").is_file() for side in sides):
                    continue  # the report says what is missing and why
                values = json.loads(call(given.folder, "train.report.compare", *sides, "--json"))
                comparisons.append({"model": model, **values})
                difference, (low, high) = values["difference"]["accuracy"], values["interval_95"]["accuracy"]
                print(
                    f"{tier} {model}: clean − {other} {100 * difference:+.1f} points "
                    f"({100 * low:+.1f} to {100 * high:+.1f}), sign-flip p = {values['sign_flip_p']:.4f}"
                )
        (given.folder / f"comparisons-{tier}.json").write_text(json.dumps(comparisons, indent=2) + "\n")


if __name__ == "__main__":
    main()
