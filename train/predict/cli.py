"""The command `mpt-predict`."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from data_cache.console.commandline import Version, example, make_app, print_json, run, say
from data_cache.console.help import Also
from data_cache.console.options import with_options
from data_cache.errors import UsageError
from train.predict.new_clips import Frames, NewClips

app = make_app(
    "Predict new clips with a trained run.\n\n"
    + example("mpt-predict clip.mp4 runs/casme2-mpt --onset 120 --offset 180")
)


@app.command()
@with_options(Frames)
def predict(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Video, folder of frames, folder of those, CSV (path[, clip, …]), or cache (path or URL).",
        ),
    ],
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run with checkpoints."), Also("--run")],
    fold: Annotated[
        str | None,
        typer.Option(
            help="Use one model only: that of the fold that left this subject out, or 'final'.",
            show_default="all folds, averaged",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="File with the backbone's weights.", show_default="as in training")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …; auto takes a GPU where there is one.")] = "auto",
    gradcam: Annotated[bool, typer.Option("--gradcam", help="Also draw Grad-CAM maps of the predicted class.")] = False,
    magnified: Annotated[
        bool, typer.Option("--magnified", help="Also draw a contact sheet and a movie, original beside magnified.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to.", show_default="predictions/<INPUT>")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Version = None,
    *,
    given: dict[str, Any],
) -> None:
    """Print the probability of each class and write them, with logits, to predictions.json.

    The frames are preprocessed with the recipe of the run's cache, which every checkpoint carries. The
    prediction is one of the run's classes whatever the frames show.
    """
    from data_cache.files.atomic import write_json
    from data_cache.sharing.download import local_copy
    from train.device import choose_device
    from train.predict.ensemble import as_json, choose_models, open_for, predict_clips, trained_on
    from train.results.checkpoint import load_trained
    from train.results.run_folder import RunFolder
    from train.terminal import print_predictions

    trained_run = RunFolder(run_path)
    trained = load_trained(trained_run, choose_models(trained_run, fold), choose_device(device), weights)
    path = local_copy(source)
    folder = unused_folder(output, path)
    # Windows removes no open file, and the cache may still be read: what cannot be removed is left to the system.
    with TemporaryDirectory(prefix="mpt-", ignore_cleanup_errors=True) as made:
        new = NewClips(Path(made), path, Frames(**given), trained.card.recipe)
        clips = open_for(trained, new.cache())
        predictions = predict_clips(trained, clips)
        if magnified:
            new.draw(folder)
        if gradcam:
            from train.report.figures import clips_figure, paper_style, pictures_of, save
            from train.trace import clip_maps

            pictures = pictures_of(clips, predictions, clip_maps(trained, clips, predictions))
            with paper_style():
                for each, picture in zip(predictions, pictures, strict=True):
                    drawn = clips_figure([each], [picture], trained.card.classes)
                    save(drawn, folder, "__".join([*each.key[1:], "heat"]))
        seen = trained_on(trained_run, trained, clips)
    if seen:
        some = f"{len(seen)} of {len(predictions)} clips, such as {'/'.join(next(iter(seen))[1:])}"
        say(
            f"{some}, were training data of a model that is asked here, so their predictions test nothing; ask the "
            "one that left them out: --fold SUBJECT"
        )
    result = as_json(trained_run, trained, predictions, path, seen)
    write_json(folder / "predictions.json", result)
    if trained.config.random_weights:
        say("the backbone of this run has RANDOM weights: for trying out only")
    print_json(result) if json_output else print_predictions(result, folder)


def unused_folder(chosen: Path | None, source: Path) -> Path:
    """The folder to write to: by default the first of predictions/NAME, NAME-2, … that has no predictions yet.

    A UsageError if the folder that was `chosen` has some.
    """
    if chosen is None:
        first = Path("predictions") / source.resolve().stem
        each = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
        return next(folder for folder in each if not (folder / "predictions.json").exists())
    if (chosen / "predictions.json").exists():
        raise UsageError(f"{chosen} holds earlier predictions, which stay as they are; name another folder with -o")
    return chosen


def main() -> None:
    """Entry point."""
    run(app, "mpt-predict")


if __name__ == "__main__":
    main()
