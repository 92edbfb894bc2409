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
from train.data.clips import ClipPixels
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
        images, motion = self.pixels.read(unique)
        return self._expand(request, self._send(images), index, self._send(motion), index)

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

    def _send(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self.device, non_blocking=True)

    def _expand(
        self,
        request: Request,
        images: Tensor | None,
        image_rows: np.ndarray,
        motion: Tensor | None,
        motion_rows: np.ndarray,
        chosen: np.ndarray | None = None,
    ) -> Inputs:
        """Stored clips (U, …) on the device to what the folds see.

        Rows are (F, B) indices into them; `chosen`, if given, are rows of `images` to take before.
        """
        assert images is not None
        change, wide = request.change, None
        parts = [torch.from_numpy(part) for part in (image_rows, motion_rows, chosen) if part is not None]
        index, rows, *more = self.upload([*parts, *([] if change is None else [change.packed()])])
        if chosen is not None:
            images = images.index_select(0, more[0])
        if motion is not None:
            wide = motion.index_select(0, rows.flatten()).view(*rows.shape, *motion.shape[1:])  # (F, B, T, …)
        if change is not None:
            images = apply_change(change, images[index][:, :, None], more[-1]).flatten(0, 2)  # (F·B, H, W, 3)
            index = torch.arange(index.numel(), device=self.device).view(index.shape)
            wide = None if wide is None else apply_change(change, wide, more[-1])
        if wide is not None and self.pixels.whole_frames:
            wide = patchify(wide)
        return Inputs(images, index, wide)


class DeviceStream(Stream):
    """The clips in the memory of the device, read once."""

    def __init__(self, pixels: ClipPixels, used: Sequence[int], device: torch.device) -> None:
        super().__init__(pixels, device)
        self.place = np.full(len(pixels), -1)  # row of each clip
        self.place[list(used)] = np.arange(len(used))
        self.images, self.motion = (
            None if part is None else part.new_empty((len(used), *part.shape), device=device)
            for part in pixels[used[0]]
        )
        with progress("reading the cache", len(used), "clips") as advance:
            for row, clip in enumerate(used):
                for store, part in zip((self.images, self.motion), pixels[clip], strict=True):
                    if store is not None and part is not None:
                        store[row] = part
                advance(1, "")
        super().require_unchanged()

    def require_unchanged(self) -> None:
        """Nothing is read any more."""

    def inputs(self, request: Request) -> Inputs:
        """Select on the device."""
        rows = self.place[request.clips]
        unique, index = _unique(rows)
        return self._expand(request, self.images, index, self.motion, rows, unique)


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
            images, motion = (None if part is None else torch.as_tensor(part) for part in batch)
            yield self._expand(request, self._send(images), index, self._send(motion), index)

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
    """The stream that `execution.cache_mode` names; "auto" is device where the clips take less than half of its memory.

    Raises:
        UsageError: the chosen mode does not fit.
    """
    size, free = len(used) * pixels.bytes_per_clip, free_memory(device)
    if execution.cache_mode == "device" and size > free:
        raise UsageError(
            f"{size / 1e9:.1f} GB of pixels do not fit into the {free / 1e9:.1f} GB free on {device}; "
            "use --cache-mode stream"
        )
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
    """Reads a step: tensors, which travel in shared memory, or arrays, which travel through a pipe.

    An expected error is returned: raised in a worker, it would arrive wrapped in a traceback.
    """

    shared = True

    def __init__(self, pixels: ClipPixels) -> None:
        self.pixels = pixels

    def __call__(self, clips: list[int]) -> Any:
        try:
            step = self.pixels.read(clips)
        except MptError as error:
            return error
        return step if self.shared else [None if part is None else part.numpy() for part in step]
