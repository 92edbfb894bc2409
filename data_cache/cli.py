"""The command `mpt-cache`: look at caches, check them, join them, hand them on. Parsing and printing only."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from data_cache.console.commandline import Version, available_jobs, example, make_app, progress, run, say
from data_cache.errors import ClipsFailed, InvalidFile, StaleFile, UsageError

app = make_app(
    "Look at a cache, check it, join several, hand one on.\n\n"
    "CACHE is a path, or a URL with http(s):// or s3://, which is copied to this machine once.\n\n"
    + example("mpt-cache verify data_cache/casme2.h5")
)
_PROBLEMS_SHOWN = 20

Cache = Annotated[str, typer.Argument(metavar="CACHE", help="Path or URL of a cache.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def main_options(version: Version = None) -> None:
    """Options before the subcommand."""


@app.command(epilog=example("mpt-cache info data_cache/casme2.h5"))
def info(cache: Cache, json_output: AsJson = False) -> None:
    """Show what is in a cache, how it was made, and who may see it."""
    from data_cache.sharing.download import local_copy
    from data_cache.sharing.info import describe, print_description

    described = describe(local_copy(cache))
    if json_output:
        _print_json(described)
    else:
        print_description(described)


@app.command(epilog=example("mpt-cache verify data_cache/casme2.h5 --against other-lab.manifest.json"))
def verify(
    cache: Cache,
    quick: Annotated[bool, typer.Option("--quick", help="Structure and annotation only; reads no pixels.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="Manifest of another lab's cache ('export --no-images'): is this one the same?"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Clips checked at a time; -1 is one per core.")] = -1,
    json_output: AsJson = False,
) -> None:
    """Check every clip of a cache against its hash, and the file against its checksum file."""
    from data_cache.read.validate import errors_in
    from data_cache.sharing.download import local_copy
    from data_cache.sharing.verify import compare_with, verify_file

    path = local_copy(cache)
    problems = verify_file(path, quick=quick, jobs=jobs)
    notes: list[str] = []
    stale = False
    if against is not None and not errors_in(problems):
        differences, notes, stale = compare_with(path, against)
        problems += differences
    if json_output:
        _print_json({"path": str(path), "problems": [vars(problem) for problem in problems], "notes": notes})
    else:
        for problem in problems[:_PROBLEMS_SHOWN]:
            typer.echo(f"{problem.severity}: {problem}")
        if len(problems) > _PROBLEMS_SHOWN:
            typer.echo(f"… and {len(problems) - _PROBLEMS_SHOWN} more (--json lists all)")
        for note in notes:
            typer.echo(f"note: {note}")
    errors = len(errors_in(problems))
    if stale:
        raise StaleFile(f"{path} was made with another recipe than {against}; make it with the recipe of the manifest")
    if errors:
        raise InvalidFile(f"{path}: {errors} errors")
    if not json_output:
        typer.echo(f"{path}: sound" + (f", and the same as {against}" if against else ""))


@app.command(epilog=example("mpt-cache merge first.h5 second.h5 -o data_cache/casme2.h5"))
def merge(
    parts: Annotated[list[str], typer.Argument(metavar="CACHE...", help="Caches of one data set and recipe.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Cache to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Join caches that hold different clips of one data set, made with one recipe."""
    from data_cache.files.lock import writer_lock
    from data_cache.files.space import require_space
    from data_cache.read.reader import CacheReader
    from data_cache.sharing.download import local_copy
    from data_cache.write.shards import merge as merge_caches

    _refuse_existing(output, force)
    paths = [local_copy(part) for part in parts]
    clips = 0
    for path in paths:
        with CacheReader(path) as reader:
            clips += len(reader)
    require_space(output, sum(path.stat().st_size for path in paths), "the merged caches")
    with writer_lock(output), progress(f"writing {output.name}", clips, "clips") as advance:
        merge_caches(paths, output, on_clip=lambda key: advance(1, ""))
    typer.echo(f"{output}: {clips} clips")


@app.command("merge-parts", epilog=example("mpt-cache merge-parts data_cache/casme2.h5"))
def merge_parts(
    cache: Annotated[Path, typer.Argument(help="The cache that 'mpt-preprocess --shard K/N' was asked for.")],
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Go on without clips that cannot be used (still exit code 3)."),
    ] = False,
) -> None:
    """Make one cache of what the jobs of an array have prepared."""
    from data_cache.files.lock import writer_lock
    from data_cache.write.parts import Parts, failure_report

    parts = Parts(cache)
    plan = parts.read_plan()
    with writer_lock(cache), progress(f"writing {cache.name}", len(plan.shards), "clips") as advance:
        failures = {**plan.unusable, **parts.failures()}
        clips = parts.merge(plan, failures, allow_missing=allow_missing, on_clip=lambda key: advance(1, ""))
    typer.echo(f"{cache}: {clips} clips")
    if failures:
        raise ClipsFailed(failure_report(failures, clips + len(failures), written=[cache]))


@app.command(epilog=example("mpt-cache export data_cache/casme2.h5 --no-images"))
def export(
    cache: Cache,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.", show_default="<cache>.manifest.json or <cache>.gzip.h5"),
    ] = None,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Labels, hashes and recipe only, as JSON, for 'verify --against'.")
    ] = False,
    compression: Annotated[
        Literal["none", "gzip"], typer.Option(help="gzip is smaller to send and slower to read.")
    ] = "none",
    card: Annotated[
        Path | None,
        typer.Option(help="Fill this folder with the cache, its manifest, a README card, RO-Crate and checksums."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Hand a cache on: without images, compressed, or as a folder that explains itself."""
    from data_cache.files.atomic import write_bytes
    from data_cache.read.validate import require_valid
    from data_cache.sharing.download import local_copy
    from data_cache.sharing.export import export_card, export_gzip, manifest_bytes
    from data_cache.sharing.info import describe

    gzip = compression == "gzip"
    if not (no_images or gzip or card):
        raise UsageError("say what to make: --no-images, --compression gzip, or --card FOLDER")
    if no_images and gzip:
        raise UsageError("--no-images leaves nothing to compress; choose one of it and --compression")
    if card and output:
        raise UsageError("--card writes a whole folder and takes no --output")
    path = local_copy(cache)
    described = describe(path)
    require_valid(path, threads=available_jobs(-1))
    made = card or output or path.with_suffix(".manifest.json" if no_images else ".gzip.h5")
    if card is None:
        _refuse_existing(made, force)
    with progress("compressing", described["clips"], "clips") if gzip else nullcontext() as advance:
        if card is not None:
            export_card(path, card, images=not no_images, gzip=gzip, advance=advance)
        elif no_images:
            write_bytes(made, manifest_bytes(path))
        else:
            export_gzip(path, made, advance)
    typer.echo(str(made))
    say("no image is in it" if no_images else described["licence_notice"])


@app.command(epilog=example("mpt-cache preview data_cache/casme2.h5 'sub01/*'"))
def preview(
    cache: Cache,
    clips: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLIP]...", help="Clips such as sub01/EP02_01f or 'sub01/*'.", show_default="a few"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG to write.", show_default="<cache>.png")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Magnified frames shown of each clip.")] = 6,
    most: Annotated[int, typer.Option("--most", min=1, max=100, help="Clips shown at most.")] = 8,
) -> None:
    """Draw a contact sheet: the dynamic image and some magnified frames of each clip."""
    from data_cache.read.reader import CacheReader
    from data_cache.sharing.download import local_copy
    from data_cache.sharing.preview import choose_clips, contact_sheet

    path = local_copy(cache)
    with CacheReader(path) as reader:
        made = output or path.with_suffix(".png")
        contact_sheet(reader, choose_clips(reader.clips.keys, clips or [], most), frames, made)
        typer.echo(str(made))
        say(reader.attributes.licence_notice)


def _refuse_existing(output: Path, force: bool) -> None:
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it")
    if output.exists() and not force:
        raise UsageError(f"{output} exists already; add --force to replace it, or -o for another file")


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def main() -> None:
    """Entry point."""
    run(app, "mpt-cache")


if __name__ == "__main__":
    main()
