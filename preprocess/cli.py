"""The command `mpt-preprocess`: one subcommand per data set. Parsing only; the work is in `build`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_cache.console.commandline import Version, example, make_app, run
from data_cache.console.options import with_options
from preprocess.job.options import BuildOptions, cache_path, targets
from preprocess.recipe import Recipe
from preprocess.recipe_file import read_recipe

if TYPE_CHECKING:
    from preprocess.datasets.base import Discovery

app = make_app(
    "Turn a micro-expression data set into one shareable cache of dynamic images and magnified motion.\n\n"
    + example("mpt-preprocess casme2 --root ~/CASME2 --alpha 20   →   data_cache/casme2.h5")
)

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
def main_options(version: Version = None) -> None:
    """Options before the subcommand."""


def add_dataset(name: str, about: str) -> None:
    """Add the subcommand that caches a data set of the table `ADAPTERS` (preprocess/datasets/find.py)."""

    @app.command(name, help=about, epilog=example(f"mpt-preprocess {name} --root ~/{name} --alpha 20"))
    @with_options(Recipe, without=("alpha",))
    @with_options(BuildOptions, into="how")
    def dataset(
        root: Root = None,
        output: Output = None,
        alpha: Alphas = None,
        face_boxes: FaceBoxes = None,
        no_corrections: NoCorrections = False,
        *,
        given: dict[str, Any],
        how: dict[str, Any],
    ) -> None:
        from preprocess.datasets.find import find

        _build(find(name, root, corrected=not no_corrections), output, alpha, face_boxes, given, how)


add_dataset("casme2", "CASME II: Cropped (or CASME2_RAW_selected) and its coding sheet.")
add_dataset("samm", "SAMM: the scenes as delivered (or your crops) and SAMM_Micro_FACS_Codes_v2.xlsx.")


@app.command(epilog=example("mpt-preprocess smic --camera hs"))
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


@app.command(epilog=example("mpt-preprocess manifest recordings.csv --faces auto"))
@with_options(Recipe, without=("alpha",))
@with_options(BuildOptions, into="how")
def manifest(
    csv_file: Annotated[Path, typer.Argument(help="CSV: subject, clip, path, emotion[, onset, apex, offset, fps].")],
    name: Annotated[str | None, typer.Option(help="Name of the data set.", show_default="the CSV's name")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of folders without one of their own.")] = None,
    output: Output = None,
    alpha: Alphas = None,
    recipe: RecipeFile = None,
    face_boxes: FaceBoxes = None,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Any other set, or your own recordings: folders of frames or videos that a CSV lists."""
    from preprocess.datasets.manifest import manifest as adapter

    _build(adapter(csv_file, name, fps), output, alpha, face_boxes, read_recipe(recipe) | given, how)


@app.command(epilog=example("mpt-preprocess demo --subjects 4 --size 112"))
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


@app.command(epilog=example("mpt-preprocess check casme2"))
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
    """Check a data set without computing anything: layout, counts, every anomaly; exit code 3 if any is unexpected."""
    from preprocess.check.anomalies import check as examine
    from preprocess.check.table import print_report
    from preprocess.datasets.find import find

    report = examine(find(dataset, root, camera=camera, corrected=not no_corrections), protocol)
    if json:
        typer.echo(report.as_json())
    else:
        print_report(report)
    report.raise_unexpected()


@app.command(epilog=example("mpt-preprocess preview casme2 sub01 sub05/EP02_07 --alpha 20"))
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
    recipe: RecipeFile = None,
    face_boxes: FaceBoxes = None,
    no_corrections: NoCorrections = False,
    *,
    given: dict[str, Any],
) -> None:
    """Draw a contact sheet of some clips, and a movie of each, original beside magnified."""
    from preprocess.datasets.find import find
    from preprocess.faces.choose import resolve_face_mode
    from preprocess.preview.draw import preview as draw

    given = read_recipe(recipe) | given
    found = find(dataset, root, camera=camera, corrected=not no_corrections)
    found, faces = resolve_face_mode(found, given.get("faces"), face_boxes)
    draw(found, clips or [], Recipe(**given | {"faces": faces}), output or Path("preview") / found.dataset, movie)


def _build(
    found: "Discovery",
    output: Path | None,
    alpha: list[float] | None,
    face_boxes: Path | None,
    given: dict[str, Any],
    how: Mapping[str, Any],
) -> None:
    """Make the caches of what was found; `given` and `how` are the knobs that were typed."""
    from preprocess.faces.choose import resolve_face_mode
    from preprocess.job.build import build

    found, faces = resolve_face_mode(found, given.get("faces"), face_boxes)
    build(found, targets(output or cache_path(found.dataset), alpha, given | {"faces": faces}), BuildOptions(**how))


def main() -> None:
    """Entry point."""
    run(app, "mpt-preprocess")


if __name__ == "__main__":
    main()
