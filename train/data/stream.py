"""Cache to device: pixels travel and are kept as bytes, and become numbers where they are used.

A step names clips per fold, many of them several times. Each is fetched once and expanded to the
folds on the device. Where clips are kept is the mode: on the device, or in the file.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_cache.console.commandline import progress
from data_cache.errors import MptError, UsageError
from train.config import Execution
from train.data.augment import Change, apply_change
from train.data.clips import ClipPixels
from train.device import free_memory
from train.model.mpt import Inputs
from train.model.tokenizer import patchify


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
        """Make sure that the caches are still the files that were opened.

        Raises:
            StaleFile: one was replaced or written over.
        """
        for reader in self.pixels.clips.readers:
            reader.require_unchanged()

    def inputs(self, request: Request) -> Inputs:
        """The inputs of one step."""
        unique, index = _unique(request.clips)
        images, motion = self.pixels.read(unique)
        return self._expand(self._send(images), index, self._send(motion), index, request.change)

    def close(self) -> None:
        """End what was started for it."""

    def _send(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self.device, non_blocking=True)

    def _expand(
        self,
        images: Tensor | None,
        image_rows: np.ndarray,
        motion: Tensor | None,
        motion_rows: np.ndarray,
        change: Change | None,
    ) -> Inputs:
        """Stored clips (U, …) on the device to what the folds see; rows are (F, B) indices into them."""
        assert images is not None
        index, wide = torch.from_numpy(image_rows).to(self.device), None
        if motion is not None:
            rows = torch.from_numpy(motion_rows).to(self.device)
            wide = motion.index_select(0, rows.flatten()).view(*rows.shape, *motion.shape[1:])  # (F, B, T, …)
        if change is not None:
            images = apply_change(change, images[index][:, :, None]).flatten(0, 2)  # (F·B, H, W, 3)
            index = torch.arange(index.numel(), device=self.device).view(index.shape)
            wide = None if wide is None else apply_change(change, wide)
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
        assert self.images is not None
        images = self.images.index_select(0, torch.from_numpy(unique).to(self.device))
        return self._expand(images, index, self.motion, rows, request.change)


class FileStream(Stream):
    """The clips in the file, read by worker processes: for sets larger than memory, and slower."""

    def __init__(self, pixels: ClipPixels, device: torch.device, workers: int, start_method: str | None = None) -> None:
        super().__init__(pixels, device)
        self.order: list[list[int]] = []  # the loader walks through this list; each entry is one step's clips
        self.loader: DataLoader[Any] = DataLoader(
            _ErrorsAsItems(pixels),
            batch_sampler=self.order,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=device.type == "cuda",
            multiprocessing_context=start_method,
            collate_fn=_stack,
            worker_init_fn=_ignore_signals,
        )

    def steps(self, requests: Sequence[Request]) -> Iterator[Inputs]:
        """Steps in order, read ahead by the workers."""
        pairs = [_unique(request.clips) for request in requests]
        self.order[:] = [[int(clip) for clip in unique] for unique, _ in pairs]
        for batch, (_, index), request in zip(self.loader, pairs, requests, strict=True):
            if isinstance(batch, MptError):
                raise batch
            images, motion = batch
            yield self._expand(self._send(images), index, self._send(motion), index, request.change)

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


Clip = tuple[Tensor, Tensor | None]


class _ErrorsAsItems(Dataset[Clip | MptError]):
    """Returns an expected error as an item: raised in a worker, it would arrive wrapped in a traceback."""

    def __init__(self, pixels: ClipPixels) -> None:
        self.pixels = pixels

    def __getitem__(self, clip: int) -> Clip | MptError:
        try:
            return self.pixels[clip]
        except MptError as error:
            return error


def _stack(clips: list[Clip | MptError]) -> Clip | MptError:
    read: list[Clip] = []
    for clip in clips:
        if isinstance(clip, MptError):
            return clip
        read.append(clip)
    images, motion = zip(*read, strict=True)
    return torch.stack(images), None if motion[0] is None else torch.stack(motion)
