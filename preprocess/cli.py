"""The command `mpt-preprocess`: one subcommand per data set. Parsing only; the work is in `build`."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from data_cache.console.commandline import Version, example, make_app, print_json, run
from data_cache.console.help import Also
from data_cache.console.options import option, with_options
from data_cache.errors import PAGES
from preprocess.datasets.find import ADAPTERS, find
from preprocess.recipe import NAMED, BuildOptions, Recipe, cache_path, read_recipe, targets

if TYPE_CHECKING:
    from preprocess.datasets.base import Discovery

log = logging.getLogger(__name__)

app = make_app(
    "Turn a micro-expression data set into one shareable cache of dynamic images and magnified motion.\n\n"
    + example("mpt-preprocess casme2 ~/CASME2   →   data_cache/casme2.h5"),
    first=("camera", "part", "supplement", "name", "subjects", "output", "movie", "recipe", "alpha", "faces",
           "face_boxes", "size", "jobs", "allow_missing", "force", "dry_run"),
)  # fmt: skip

CHOICES = ("sheet", "camera", "part", "supplement", "fps")
"""Options of single data sets: keyword arguments of their adapters."""
DEMO_ROOT = Path("datasets/demo")


@dataclass(frozen=True)
class InputOptions:
    """What a command works on and where the result goes; `_command` says which commands have which of these."""

    root: Path | None = option(None, "Folder of the data set as delivered.", shown="$MPT_<SET>, else datasets/<set>")
    sheet: Path | None = option(None, "Annotation sheet to read (.xlsx or .csv).", shown="the newest in the folder")
    camera: str | None = option(None, "Camera of SMIC: hs, vis or nir.", shown="hs")
    part: str | None = option(None, "Part of CAS(ME)³: a or c.", shown="a")
    supplement: bool = option(False, "Add CASME II's sub24/EP02_07, a row of no official sheet.", flag="--supplement")
    fps: float | None = option(None, "Frame rate of folders in a manifest that state none.")
    output: Path | None = option(None, "Cache to write.", flag="--output -o", shown="data_cache/<set>.h5")
    alpha: list[float] | None = option(
        None,
        "Magnification factor (paper: 20). Give it several times for one cache each, from one decoding.",
        minimum=0,
        shown=f"{Recipe.alpha:g}",
    )
    recipe: str | None = option(
        None,
        f"Settings to start from: {', '.join(NAMED)}, or a file: a cache, its fingerprint, or JSON such as "
        '{"alpha": 20}; what is typed wins.',
        shown="paper",
    )
    face_boxes: Path | None = option(
        None,
        "CSV with a box for each face, for --faces csv: subject, clip, x, y, width, height "
        f"({PAGES.format(page='how-to/faces')}).",
        shown="<root>/face_boxes.csv",
    )
    no_corrections: bool = option(False, "Take the annotation with its known errors.", flag="--no-corrections")

    def find(self, name: str) -> "Discovery":
        """The clips of a data set or manifest."""
        choices = {choice: getattr(self, choice) or None for choice in CHOICES}
        return find(name, self.root, corrected=not self.no_corrections, **choices)

    def resolve(self, found: "Discovery", typed: dict[str, Any]) -> tuple["Discovery", dict[str, Any]]:
        """The clips, with face boxes where those are used, and the settings of the recipe that are not defaults."""
        from preprocess.faces import resolve_face_mode

        settings = read_recipe(self.recipe) | typed
        found, faces = resolve_face_mode(found, settings.get("faces"), self.face_boxes)
        return found, settings | {"faces": faces}


Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="Its folder as delivered.", show_default="$MPT_<SET>, else datasets/<set>"),
    Also("--root"),
]
DatasetName = Annotated[str, typer.Argument(help=f"{', '.join(ADAPTERS)}, or a manifest (FILE.csv).")]


def _command(
    example_arguments: str, *, name: str | None = None, about: str | None = None, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command that makes caches: its `chosen`, `given` and `how` are the options that were typed.

    `without` names the fields of `InputOptions` that it lacks or declares by itself.
    """

    def register(command: Callable[..., None]) -> Callable[..., None]:
        command = with_options(InputOptions, into="chosen", without=without)(command)
        command = with_options(BuildOptions, into="how")(command)
        command = with_options(Recipe, without=("alpha",))(command)
        return app.command(name, help=about, epilog=example(f"mpt-preprocess {example_arguments}"))(command)

    return register


@app.callback()
def main_options(version: Version = None) -> None:
    """Options before the subcommand."""


def add_dataset(name: str) -> None:
    """Add the subcommand that caches a data set of the table `ADAPTERS` (preprocess/datasets/find.py)."""
    absent = (choice for choice in CHOICES if choice not in signature(ADAPTERS[name].adapter).parameters)

    @_command(f"{name} ~/{name}", name=name, about=ADAPTERS[name].about, without=("root", *absent))
    def dataset(folder: Folder = None, *, chosen: dict[str, Any], given: dict[str, Any], how: dict[str, Any]) -> None:
        inputs = InputOptions(**chosen, root=folder)
        _build(inputs.find(name), inputs, given, how)


for _name in ADAPTERS:
    if _name != "demo":
        add_dataset(_name)


@_command("manifest recordings.csv --faces auto", without=("root", "no_corrections", *CHOICES[:-1]))
def manifest(
    csv_file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV: subject, clip, path, emotion[, onset, apex, offset, fps]."),
        Also("--csv"),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the data set.", show_default="the CSV's name")] = None,
    *,
    chosen: dict[str, Any],
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Any other set, or your own recordings: folders of frames or videos that a CSV lists."""
    from preprocess.datasets.manifest import manifest as adapter

    inputs = InputOptions(**chosen)
    _build(adapter(csv_file, name, inputs.fps), inputs, given, how)


@_command("demo --subjects 4 --size 112", without=("root", "no_corrections", *CHOICES))
def demo(
    root: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Where to generate the set.", show_default=str(DEMO_ROOT)),
        Also("--root"),
    ] = None,
    subjects: Annotated[int | None, typer.Option(min=2, max=99, help="Number of drawn persons.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every byte of the set.")] = None,
    tier: Annotated[
        Literal["easy", "hard"],
        typer.Option(help="hard: smaller movements, more that disturbs, two cameras (datasets/demo-hard)."),
    ] = "easy",
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Draw whole scenes, with face_boxes.csv, to try --faces on (datasets/demo-raw)."),
    ] = False,
    *,
    chosen: dict[str, Any],
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Draw a synthetic set in the layout of CASME II and cache it through the same adapter."""
    from preprocess.demo.generate import DemoSet, generate

    usual = DemoSet(raw=raw, tier=tier)
    demo_set = replace(usual, subjects=subjects or usual.subjects, seed=usual.seed if seed is None else seed)
    folder = root or DEMO_ROOT.with_name(demo_set.name)
    options = BuildOptions(**how)
    if not options.dry_run:
        generate(folder, demo_set, options.jobs)
    inputs = InputOptions(**{"output": cache_path(demo_set.name)} | chosen, root=folder)
    _build(inputs.find("demo"), inputs, given, how)


@app.command(epilog=example("mpt-preprocess check casme2"))
@with_options(InputOptions, into="chosen", without=("root", "output", "alpha", "recipe", "face_boxes"))
def check(
    dataset: DatasetName,
    folder: Folder = None,
    protocol: Annotated[
        str | None, typer.Option(help="Classes to count by, or a TOML file.", show_default="that of the data set")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    *,
    chosen: dict[str, Any],
) -> None:
    """Check a data set without computing anything: layout, counts, every anomaly; exit code 3 if any is unexpected."""
    from preprocess.check import check as examine
    from preprocess.check import print_report

    report = examine(InputOptions(**chosen, root=folder).find(dataset), protocol)
    if json:
        print_json(asdict(report) | {"as_expected": not report.unexpected})
    else:
        print_report(report)
    report.raise_unexpected()


@app.command(epilog=example("mpt-preprocess preview casme2 sub01 sub05/EP02_07 --alpha 20"))
@with_options(Recipe)
@with_options(InputOptions, into="chosen", without=("output", "alpha", "recipe"))
def preview(
    dataset: DatasetName,
    clips: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROOT] [CLIP]...",
            help="Folder of the set; clips as subject/clip, or subjects.",
            show_default="the first 6 clips",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the pictures.", show_default="preview/<set>[-recipes]"),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Recipe, as elsewhere. Several: one page on which the clips move, by each of them."),
    ] = None,
    movie: Annotated[Literal["avif", "gif", "none"], typer.Option(help="Movie beside each sheet.")] = "avif",
    *,
    chosen: dict[str, Any],
    given: dict[str, Any],
) -> None:
    """Draw a contact sheet and a movie of some clips, original beside magnified; or compare recipes on a page."""
    from preprocess.preview.bench import bench
    from preprocess.preview.draw import preview as draw

    inputs, clips = InputOptions(**chosen), list(clips or ())
    if clips and inputs.root is None and Path(clips[0]).is_dir():
        inputs = replace(inputs, root=Path(clips.pop(0)))
    found, recipes = inputs.find(dataset), []
    for source in recipe or ("paper",):
        found, settings = replace(inputs, recipe=source).resolve(found, given)
        recipes.append((Path(source).name, Recipe(**settings)))
    if len(recipes) == 1:
        draw(found, clips, recipes[0][1], output or Path("preview") / found.dataset, movie)
    else:
        page = bench(found, clips, recipes, output or Path("preview") / f"{found.dataset}-recipes")
        typer.echo(f"page: {page.resolve().as_uri()}")


def _build(found: "Discovery", inputs: InputOptions, given: dict[str, Any], how: dict[str, Any]) -> None:
    """Make the caches of what was found; `given` and `how` are the options that were typed."""
    from preprocess.check import count_notes
    from preprocess.job.build import build

    found, settings = inputs.resolve(found, given)
    for line in count_notes(found):
        log.warning(f"note: {line}; see mpt-preprocess check")
    build(found, targets(inputs.output or cache_path(found.dataset), inputs.alpha, settings), BuildOptions(**how))


def main() -> None:
    """Entry point."""
    run(app, "mpt-preprocess")


if __name__ == "__main__":
    main()
