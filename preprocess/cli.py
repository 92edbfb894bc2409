"""The command `mpt-preprocess`: one subcommand per data set. Parsing only; the work is in `build`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_cache.commandline import make_app, run, version_option
from data_cache.errors import UsageError
from data_cache.options import with_options
from preprocess.options import BuildOptions
from preprocess.recipe import Recipe

if TYPE_CHECKING:
    from preprocess.datasets.base import Discovery

app = make_app(
    "Turn a micro-expression data set into one shareable cache of dynamic images and magnified motion.\n\n"
    "[bold]Example[/bold]: mpt-preprocess casme2 --root ~/CASME2 --alpha 20   →   data_cache/casme2.h5"
)

CACHE_FOLDER = Path("data_cache")
DEMO_ROOT = Path("datasets/demo")

Root = Annotated[
    Path | None,
    typer.Option(help="Folder of the data set as delivered.", show_default="$MPT_<SET>, else datasets/<set>"),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Cache to write.", show_default="data_cache/<set>.h5")
]
Alphas = Annotated[
    list[float] | None,
    typer.Option(
        "--alpha",
        min=0,
        help="Magnification factor (paper: 20). Give it several times for one cache each, from one decoding.",
        show_default=str(Recipe.alpha),
    ),
]
FaceBoxes = Annotated[
    Path | None,
    typer.Option(
        help="CSV with a box for each face, for --faces csv: subject, clip, x, y, width, height (docs/datasets.md).",
        show_default="<root>/face_boxes.csv",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        help="JSON file to take the knobs from, such as the recipe of a cache; those typed here win.",
        show_default="the defaults",
    ),
]
NoCorrections = Annotated[
    bool, typer.Option("--no-corrections", help="Take the annotation as delivered, known errors included.")
]
CameraName = Annotated[str, typer.Option("--camera", help="Of SMIC: hs, vis or nir.")]
DatasetName = Annotated[str, typer.Argument(help="casme2, samm, smic or demo, or a manifest (FILE.csv).")]


@app.callback()
def main_options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=version_option, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    """Options before the subcommand."""


@app.command()
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def casme2(
    root: Root = None,
    output: Output = None,
    alpha: Alphas = None,
    face_boxes: FaceBoxes = None,
    no_corrections: NoCorrections = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """CASME II: Cropped (or CASME2_RAW_selected) and its coding sheet."""
    from preprocess.datasets.find import find

    _build(find("casme2", root, corrected=not no_corrections), output, alpha, face_boxes, given, how)


@app.command()
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def samm(
    root: Root = None,
    output: Output = None,
    alpha: Alphas = None,
    face_boxes: FaceBoxes = None,
    no_corrections: NoCorrections = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """SAMM: the scenes as delivered (or your crops) and SAMM_Micro_FACS_Codes_v2.xlsx."""
    from preprocess.datasets.find import find

    _build(find("samm", root, corrected=not no_corrections), output, alpha, face_boxes, given, how)


@app.command()
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def smic(
    root: Root = None,
    camera: CameraName = "hs",
    output: Output = None,
    alpha: Alphas = None,
    face_boxes: FaceBoxes = None,
    no_corrections: NoCorrections = False,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """SMIC: SMIC_all_cropped, SMIC_all_raw, or HS_long and its annotation sheet."""
    from preprocess.datasets.find import find

    found = find("smic", root, camera=camera, corrected=not no_corrections)
    _build(found, output, alpha, face_boxes, given, how)


@app.command()
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def manifest(
    csv_file: Annotated[Path, typer.Argument(help="CSV: subject, clip, path, emotion[, onset, apex, offset, fps].")],
    name: Annotated[str | None, typer.Option(help="Name of the data set.", show_default="the CSV's name")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of folders without one of their own.")] = None,
    output: Output = None,
    alpha: Alphas = None,
    face_boxes: FaceBoxes = None,
    recipe: RecipeFile = None,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Any other set, or your own recordings: folders of frames or videos that a CSV lists."""
    from preprocess.datasets.manifest import manifest as adapter
    from preprocess.recipe_file import read_recipe

    if recipe is not None:
        given = read_recipe(recipe) | given
    _build(adapter(csv_file, name, fps), output, alpha, face_boxes, given, how)


@app.command()
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def demo(
    root: Annotated[
        Path | None, typer.Option(help="Folder to generate the set in.", show_default=str(DEMO_ROOT))
    ] = None,
    subjects: Annotated[int | None, typer.Option(min=2, max=99, help="Number of drawn persons.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every byte of the set.")] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Draw whole scenes, with face_boxes.csv, to try --faces on (datasets/demo-raw)."),
    ] = False,
    output: Output = None,
    alpha: Alphas = None,
    face_boxes: FaceBoxes = None,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Draw a synthetic set in the layout of CASME II and cache it through the same adapter."""
    from preprocess.datasets.find import find
    from preprocess.demo.generate import DemoSet, generate

    usual = DemoSet()
    chosen = replace(usual, subjects=subjects or usual.subjects, seed=usual.seed if seed is None else seed, raw=raw)
    folder = root or (DEMO_ROOT.with_name(f"{DEMO_ROOT.name}-raw") if raw else DEMO_ROOT)
    options = BuildOptions(**how)
    if not options.dry_run:
        generate(folder, chosen, options.jobs)
    output = output or (cache_path("demo-raw") if raw else None)
    _build(find("demo", folder), output, alpha, face_boxes, given, how)


@app.command()
def check(
    dataset: DatasetName,
    root: Root = None,
    camera: CameraName = "hs",
    protocol: Annotated[
        str | None, typer.Option(help="Classes to count by, or a TOML file.", show_default="that of the data set")
    ] = None,
    no_corrections: NoCorrections = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look a data set over without computing anything: layout, counts, every anomaly; exit code 3 on surprises."""
    from preprocess.check import check as examine
    from preprocess.check_table import print_report
    from preprocess.datasets.find import find

    report = examine(find(dataset, root, camera=camera, corrected=not no_corrections), protocol)
    if json:
        typer.echo(report.as_json())
    else:
        print_report(report)
    report.raise_surprises()


@app.command()
@with_options(Recipe)
def preview(
    dataset: DatasetName,
    clips: Annotated[
        list[str] | None, typer.Argument(help="Clips as subject/clip, or subjects.", show_default="the first 6")
    ] = None,
    root: Root = None,
    camera: CameraName = "hs",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the pictures.", show_default="preview/<set>")
    ] = None,
    movie: Annotated[str, typer.Option(help="Movie beside each sheet: mp4, gif or none.")] = "mp4",
    face_boxes: FaceBoxes = None,
    no_corrections: NoCorrections = False,
    *,
    given: dict[str, Any],
) -> None:
    """Draw a contact sheet of some clips, and a movie of each, original beside magnified."""
    from preprocess.datasets.find import find
    from preprocess.faces.choose import settle_faces
    from preprocess.preview import preview as draw

    found = settle_faces(find(dataset, root, camera=camera, corrected=not no_corrections), given, face_boxes)
    draw(found, clips or [], Recipe(**given), output or Path("preview") / found.dataset, movie)


def _build(
    found: "Discovery",
    output: Path | None,
    alpha: list[float] | None,
    face_boxes: Path | None,
    given: dict[str, Any],
    how: Mapping[str, Any],
) -> None:
    """Make the caches of what was found; `given` and `how` are the knobs that were typed."""
    from preprocess.build import build
    from preprocess.faces.choose import settle_faces

    found = settle_faces(found, given, face_boxes)
    build(found, targets(output or cache_path(found.dataset), alpha, given), BuildOptions(**how))


def cache_path(dataset: str) -> Path:
    """Where a cache goes when nobody says otherwise."""
    return CACHE_FOLDER / f"{dataset}.h5"


def targets(output: Path, alphas: list[float] | None, given: Mapping[str, Any]) -> dict[Path, Recipe]:
    """Cache path → recipe; with several α, each cache has its α in its name.

    Raises:
        UsageError: the same α twice, or an output that is a folder.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as -o {output / 'cache.h5'}")
    recipe = Recipe(**given)
    if not alphas:
        return {output: recipe}
    if len(set(alphas)) != len(alphas):
        raise UsageError(f"--alpha was given twice with the same value: {alphas}")
    if len(alphas) == 1:
        return {output: recipe.with_alpha(alphas[0])}
    return {output.with_stem(f"{output.stem}-alpha{alpha:g}"): recipe.with_alpha(alpha) for alpha in alphas}


def main() -> None:
    """Entry point."""
    run(app, "mpt-preprocess")


if __name__ == "__main__":
    main()
