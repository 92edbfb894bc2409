"""Magnify the subtle motion of a video: python examples/magnify_a_video.py face.mp4 magnified.mp4 --alpha 20.

Eulerian magnification as in the paper (eq. 4 to 7), on every frame of the video and at its own size. The whole clip
waits in memory, 12 bytes per pixel and frame: cut long recordings with --first and --last.
"""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from data_cache.console.commandline import make_app, run, say
from data_cache.errors import UsageError
from data_cache.files.atomic import replacing
from preprocess.clip import VideoSpan
from preprocess.frames.read import read_frames
from preprocess.frames.video import probe
from preprocess.motion.magnify import magnified, quantise
from preprocess.motion.temporal import temporal_plan
from preprocess.recipe import Recipe

app = make_app("Magnify the subtle motion of a video.")


@app.command()
def magnify(
    source: Annotated[Path, typer.Argument(help="Video to read.")],
    target: Annotated[Path, typer.Argument(help="MP4 to write.")],
    alpha: Annotated[float, typer.Option(min=0, help="Magnification factor.")] = Recipe.alpha,
    low: Annotated[float, typer.Option(help="Lower cut-off in Hz.")] = Recipe.low,
    high: Annotated[float, typer.Option(help="Upper cut-off in Hz.")] = Recipe.high,
    first: Annotated[int, typer.Option(min=0, help="First frame, counted from 0.")] = 0,
    last: Annotated[int | None, typer.Option(min=0, help="Last frame.", show_default="the last there is")] = None,
) -> None:
    """Write TARGET, as long and as large as SOURCE."""
    video = probe(source, last)
    span = VideoSpan(source, first, video.frames - 1 if last is None else last)
    if len(span) < 2:
        raise UsageError(f"frames {span.first} to {span.last} hold no motion; choose --first and --last further apart")
    recipe = Recipe(frames=len(span), alpha=alpha, low=low, high=high)  # as many samples as frames: none is left out
    rate = video.rate or 25.0
    clip = np.stack([frame for _, frame in read_frames(span, range(len(span)))]).astype(np.float32)  # (T, H, W, 3)
    plan = temporal_plan(len(span), rate, recipe)
    frames, cut = quantise(magnified(clip, plan, recipe).reshape(len(span), -1))
    write_video(target, frames.reshape(clip.shape), rate)
    band = f"{plan.band[0]:g} to {plan.band[1]:g} Hz"
    say(f"{target}: {len(span)} frames, {band}, {cut / frames.size:.1%} of values clipped")


def write_video(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write (T, H, W, 3) uint8 RGB frames as MP4; the file appears complete or not at all."""
    height, width = frames.shape[1:3]
    with replacing(path) as temporary:
        named = temporary.with_name(f"{temporary.name}.mp4")  # OpenCV chooses the format by suffix
        writer = cv2.VideoWriter(str(named), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        if not writer.isOpened():
            raise UsageError(f"{path}: this OpenCV cannot write MP4 of {width}×{height} pixels")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        named.replace(temporary)


if __name__ == "__main__":
    run(app, "magnify_a_video.py")
