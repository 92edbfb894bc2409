"""Cache to device: pixels travel and are kept as bytes, and become numbers where they are used.

A step names clips per fold, many of them several times. Each is fetched once and expanded to the
folds on the device. Where clips are kept is the mode: on the device, or in the file.
"""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from shutil import disk_usage
from sys import maxsize
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from data_cache.console.commandline import progress
from data_cache.errors import MptError, UsageError
from train.config import Execution
from train.data.augment import Change, apply_change
from train.data.task import ClipPixels
from train.device import free_memory
from train.model.mpt import Inputs
from train.model.tokenizer import patchify

log = logging.getLogger(__name__)
_SHARED = "/dev/shm"


@dataclass(frozen=True)
class Request:
    """The clips of one step, (F, B) indices, and the random change of each, if any."""

    clips: np.ndarray
    change: Change | None = None


class Stream:
    """Serves the inputs of steps; the base of both modes."""

    room = (
        maxsize  # the most clips that had room in a pass of predictions, once the memory of the device did not suffice
    )

    def __init__(self, pixels: ClipPixels, device: torch.device) -> None:
        self.pixels, self.device = pixels, device

    def steps(self, requests: Sequence[Request]) -> Iterator[Inputs]:
        """The inputs of each step in turn; modes may prepare the next one meanwhile."""
        return (self.inputs(request) for request in requests)

    def require_unchanged(self) -> None:
        """As `ClipSet.require_unchanged`."""
        self.pixels.clips.require_unchanged()

    def inputs(self, request: Request) -> Inputs:
        """The inputs of one step."""
        unique, index = _unique(request.clips)
        return self._expand(request, *self.pixels.read(unique), index)

    def upload(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Parts from the CPU to the device in one transfer, which nobody waits for."""
        padded = [F.pad(part.flatten().view(torch.uint8), (0, -part.nbytes % 16)) for part in parts]
        packed = torch.cat(padded)
        packed = packed.pin_memory() if self.device.type == "cuda" else packed
        pieces = packed.to(self.device, non_blocking=True).split([len(piece) for piece in padded])
        return [
            piece[: part.nbytes].view(part.dtype).view(part.shape) for piece, part in zip(pieces, parts, strict=True)
        ]

    def close(self) -> None:
        """End what was started for it."""

    def _expand(
        self,
        request: Request,
        images: Tensor,
        motion: Tensor | None,
        index: np.ndarray,
        chosen: np.ndarray | None = None,
    ) -> Inputs:
        """Clips (U, …) to what the folds see on the device: `index` (F, B) into them, or into the rows `chosen`."""
        change, wide = request.change, None
        parts = [index, index] if chosen is None else [index, chosen[index], chosen]
        packed = [] if change is None else [change.packed()]
        place, rows, *more = self.upload([*map(torch.from_numpy, parts), *packed])
        images = images.to(self.device, non_blocking=True)
        if chosen is not None:
            images = images.index_select(0, more[0])
        if motion is not None:
            moving = motion.to(self.device, non_blocking=True).index_select(0, rows.flatten())
            wide = moving.view(*rows.shape, *motion.shape[1:])  # (F, B, T, …)
        if change is not None:
            images = apply_change(change, images[place][:, :, None], more[-1]).flatten(0, 2)  # (F·B, H, W, 3)
            place = torch.arange(place.numel(), device=self.device).view(place.shape)
            wide = None if wide is None else apply_change(change, wide, more[-1])
        if wide is not None and self.pixels.whole_frames:
            wide = patchify(wide)
        return Inputs(images, place, wide)


class DeviceStream(Stream):
    """The clips in the memory of the device, read once."""

    def __init__(self, pixels: ClipPixels, used: Sequence[int], device: torch.device) -> None:
        super().__init__(pixels, device)
        self.place = np.full(len(pixels), -1)  # row of each clip
        self.place[list(used)] = np.arange(len(used))
        image, motion = pixels[used[0]]
        self.images = image.new_empty((len(used), *image.shape), device=device)
        self.motion = None if motion is None else motion.new_empty((len(used), *motion.shape), device=device)
        with progress("reading the cache", len(used), "clips") as advance:
            for row, clip in enumerate(used):
                self.images[row], motion = pixels[clip]
                if self.motion is not None and motion is not None:
                    self.motion[row] = motion
                advance(1, "")
        super().require_unchanged()

    def require_unchanged(self) -> None:
        """Nothing is read any more."""

    def inputs(self, request: Request) -> Inputs:
        """Select on the device."""
        chosen, index = _unique(self.place[request.clips])
        return self._expand(request, self.images, self.motion, index, chosen)


class FileStream(Stream):
    """The clips in the file, read by worker processes: for sets larger than memory, and slower."""

    def __init__(self, pixels: ClipPixels, device: torch.device, workers: int, start_method: str | None = None) -> None:
        super().__init__(pixels, device)
        self.order: list[list[int]] = []  # the loader walks through this list; each entry is one step's clips
        self.read = _Read(pixels)
        self.loader: DataLoader[Any] = DataLoader(
            range(len(pixels)),  # type: ignore[arg-type]  # clips are read where a step is put together: by workers
            batch_sampler=self.order,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=device.type == "cuda",
            multiprocessing_context=start_method,
            collate_fn=self.read,
            worker_init_fn=_ignore_signals,
        )

    def steps(self, requests: Sequence[Request]) -> Iterator[Inputs]:
        """Steps in order, read ahead by the workers."""
        pairs = [_unique(request.clips) for request in requests]
        self.order[:] = [[int(clip) for clip in unique] for unique, _ in pairs]
        self._choose_way()
        for batch, (_, index), request in zip(self.loader, pairs, requests, strict=True):
            if isinstance(batch, MptError):
                raise batch
            images, motion = batch
            moving = None if motion is None else torch.as_tensor(motion)
            yield self._expand(request, torch.as_tensor(images), moving, index)

    def _choose_way(self) -> None:
        """Whether clips come through shared memory, as PyTorch has it, or, where that is small, through pipes.

        A worker that finds it full is killed. Those that run already are not asked again.
        """
        waiting = 2 * self.loader.num_workers + 1  # steps read ahead, and the one in use
        needed, free = waiting * max(map(len, self.order), default=0) * self.pixels.bytes_per_clip, inf
        with suppress(OSError):  # it is no file system everywhere
            free = disk_usage(_SHARED).free
        if needed > free and self.read.shared:
            log.info(
                f"{_SHARED} has {free / 1e6:.0f} MB free, and reading ahead takes up to {needed / 1e6:.0f}: clips come "
                "through pipes, which is slower; in a container, --shm-size gives more"
            )
            self.read.shared = False

    def close(self) -> None:
        """End the workers. They ignore signals, so where an error leaves them Python would wait for them for ever."""
        if self.loader._iterator is not None:
            self.loader._iterator._shutdown_workers()  # type: ignore[attr-defined]


def open_stream(pixels: ClipPixels, used: Sequence[int], device: torch.device, execution: Execution) -> Stream:
    """The stream that `execution.cache_mode` names, for the clips `used`; a UsageError where it does not fit."""
    size, free = len(used) * pixels.bytes_per_clip, free_memory(device)
    if execution.cache_mode == "device" and size > free:
        room = f"the {free / 1e9:.1f} GB free on {device}"
        raise UsageError(f"{size / 1e9:.1f} GB of pixels do not fit into {room}; use --cache-mode stream")
    if on_device(size, free, execution):
        return DeviceStream(pixels, used, device)
    return FileStream(pixels, device, execution.workers)


def on_device(size: int, free: int, execution: Execution) -> bool:
    """Whether `size` bytes of pixels are kept on a device with `free` bytes: as chosen, or if they take under half."""
    return execution.cache_mode == "device" or (execution.cache_mode == "auto" and size < 0.5 * free)


def _unique(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, index = np.unique(clips, return_inverse=True)
    return unique, index.reshape(clips.shape)


def _ignore_signals(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; workers end when the parent ends them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Read:
    """Reads a step: tensors, which travel in shared memory, or arrays, which travel through a pipe."""

    shared = True

    def __init__(self, pixels: ClipPixels) -> None:
        self.pixels = pixels

    def __call__(self, clips: list[int]) -> Any:
        try:
            step = self.pixels.read(clips)
        except MptError as error:
            return error  # raised in a worker, it would arrive wrapped in a traceback
        return step if self.shared else [None if part is None else part.numpy() for part in step]
