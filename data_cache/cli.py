"""The command `mpt-cache`: inspect caches, check, merge, draw and export them. Parsing and printing only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_cache.console.commandline import Version, example, make_app, print_json, progress, run, say
from data_cache.console.help import Also
from data_cache.errors import InvalidFile, StaleFile, UsageError
from data_cache.names import visible

if TYPE_CHECKING:
    from data_cache.read.reader import CacheReader

app = make_app(
    "Inspect a cache, check it, merge several, export one.\n\n"
    "CACHE is a path, or a URL with http(s):// or s3://, which is copied to this machine once.\n\n"
    + example("mpt-cache verify data_cache/casme2.h5")
)
_PROBLEMS_SHOWN = 20

Cache = Annotated[
    str, typer.Argument(metavar="CACHE", help="Path or URL of a cache.", show_default=False), Also("--cache")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def _output(help: str, default: str) -> Any:
    return typer.Option("--output", "-o", help=help, show_default=default)


@app.callback()
def main_options(version: Version = None) -> None:
    """Options before the subcommand."""


@app.command(epilog=example("mpt-cache info data_cache/casme2.h5"))
def info(cache: Cache, json_output: AsJson = False) -> None:
    """Show what is in a cache, how it was made, and who may see it."""
    from data_cache.sharing.info import describe, print_description

    with _opened(cache) as reader:
        described = describe(reader)
    if json_output:
        print_json(described)
    else:
        print_description(described)


@app.command(epilog=example("mpt-cache verify data_cache/casme2.h5 --against theirs.json"))
def verify(
    cache: Cache,
    quick: Annotated[bool, typer.Option("--quick", help="Structure and annotation only; reads no pixels.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="Fingerprint ('mpt-cache export') of another lab's cache, to compare this one with."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Check every clip of a cache against its hash, and the file against its checksum file."""
    from data_cache.read.validate import errors_in
    from data_cache.sharing.download import local_copy
    from data_cache.sharing.fingerprint import verify as examine

    path = local_copy(cache)
    verdict = examine(path, quick=quick, against=against)
    if json_output:
        problems = [vars(problem) for problem in verdict.problems]
        print_json({"path": str(path), "problems": problems, "notes": verdict.notes})
    else:
        for problem in verdict.problems[:_PROBLEMS_SHOWN]:
            typer.echo(visible(f"{problem.severity}: {problem}"))
        if len(verdict.problems) > _PROBLEMS_SHOWN:
            typer.echo(f"… and {len(verdict.problems) - _PROBLEMS_SHOWN} more (--json lists all)")
        for note in verdict.notes:
            typer.echo(visible(f"note: {note}"))
    errors = len(errors_in(verdict.problems))
    if verdict.stale:
        raise StaleFile(f"{path} was made with another recipe than {against}; make it with that recipe")
    if errors:
        raise InvalidFile(f"{path}: {errors} errors")
    if not json_output:
        checked = "structure and annotation of " if quick else ""
        same = f", the same as {against}" if against else ""
        typer.echo(visible(f"{path}: OK, {checked}{verdict.clips} clips verified{same}"))


@app.command(epilog=example("mpt-cache merge first.h5 second.h5 -o data_cache/casme2.h5"))
def merge(
    parts: Annotated[list[str], typer.Argument(metavar="CACHE...", help="Caches of one data set and recipe.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Cache to write.")],
    force: Force = False,
) -> None:
    """Merge caches that hold different clips of one data set, made with one recipe."""
    from data_cache.files.atomic import require_space
    from data_cache.files.lock import writer_lock
    from data_cache.read.reader import CacheReader
    from data_cache.sharing.download import local_copy
    from data_cache.write.shards import finish, is_merged
    from data_cache.write.shards import merge as merge_caches

    readers = [CacheReader(local_copy(part)) for part in parts]
    if not force and is_merged(readers, output):  # perhaps by a command that was killed in its clean-up
        finish(output)
        typer.echo(visible(f"{output} is up to date"))
        return
    _target(output, force)
    clips = sum(map(len, readers))
    require_space(output, sum(reader.path.stat().st_size for reader in readers), "the merged caches")
    with writer_lock(output), progress(f"writing {output.name}", clips, "clips") as advance:
        merge_caches(readers, output, on_clip=lambda key: advance(1, ""))
    typer.echo(visible(f"{output}: {clips} clips"))


@app.command(epilog=example("mpt-cache export data_cache/casme2.h5"))
def export(
    cache: Cache,
    output: Annotated[Path | None, _output("File to write.", "<cache>.fingerprint.json")] = None,
    force: Force = False,
) -> None:
    """Write the fingerprint of a cache: labels, hashes and recipe without any image, for 'verify --against'."""
    from data_cache.files.atomic import write_json
    from data_cache.read.validate import require_valid
    from data_cache.sharing.fingerprint import make_fingerprint

    with _opened(cache) as reader:
        made = _target(output or reader.path.with_suffix(".fingerprint.json"), force)
        require_valid(reader)
        write_json(made, make_fingerprint(reader))
    typer.echo(visible(str(made)))
    say("no image is in it; it holds the annotation of the data set, which its licence covers")


@app.command(epilog=example("mpt-cache preview data_cache/casme2.h5 'sub01/*'"))
def preview(
    cache: Cache,
    clips: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLIP]...", help="Clips such as sub01/EP02_01f or 'sub01/*'.", show_default="a few"),
    ] = None,
    output: Annotated[Path | None, _output("PNG to write.", "<cache>.png")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Magnified frames shown of each clip.")] = 6,
    max_clips: Annotated[int, typer.Option(min=1, max=100, help="Clips shown at most.")] = 8,
    force: Force = False,
) -> None:
    """Draw a contact sheet: the dynamic image and some magnified frames of each clip."""
    from data_cache.sharing.info import choose_clips, contact_sheet

    with _opened(cache) as reader:
        made = _target(output or reader.path.with_suffix(".png"), force)
        contact_sheet(reader, choose_clips(reader.clips.keys, clips or [], max_clips), frames, made)
        typer.echo(visible(str(made)))
        say(reader.attributes.licence_notice)


@app.command(epilog=example("mpt-cache explore data_cache/casme2.h5"))
def explore(
    cache: Cache,
    output: Annotated[Path | None, _output("Folder to write.", "<cache>.explore")] = None,
    single_file: Annotated[
        bool, typer.Option("--single-file", help="All in one HTML file, pictures at half the size; at most 25 MB.")
    ] = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="Facts only: the page holds no pixel.")] = False,
) -> None:
    """Write a page on which the clips move: sort and filter them, play them, slide the magnification."""
    from data_cache.explore.page import explore as write_page
    from data_cache.sharing.download import local_copy

    path = local_copy(cache)
    made = output or path.with_name(f"{path.name}.explore")
    page = write_page(path, made, images=not no_images, single_file=single_file)
    typer.echo(f"page: {page.resolve().as_uri()}")


@contextmanager
def _opened(cache: str) -> Iterator["CacheReader"]:
    """A cache whose annotation is valid; one behind a URL is copied first."""
    from data_cache.read.reader import CacheReader
    from data_cache.read.validate import require_valid
    from data_cache.sharing.download import local_copy

    with CacheReader(local_copy(cache)) as reader:
        require_valid(reader, pixels=False)
        yield reader


def _target(output: Path, force: bool) -> Path:
    """The file to write, if nothing would be lost by that."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it")
    if output.exists() and not force:
        raise UsageError(f"{output} exists already; add --force to replace it, or -o for another file")
    return output


def main() -> None:
    """Entry point."""
    run(app, "mpt-cache")


if __name__ == "__main__":
    main()
