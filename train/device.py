"""Where a run happens: device, its arithmetic and free memory, processes of torchrun, software versions."""

import atexit
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch

from data_cache import __version__
from data_cache.errors import UsageError, typed_command

log = logging.getLogger(__name__)
Result = TypeVar("Result")
_CGROUP, _MY_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_TIMEOUT = timedelta(days=7)  # in which ranks wait for the slowest; when one dies, torchrun ends them all
SMALLER = (
    "a smaller --batch-size, --cache-mode stream, or, with --deterministic or several processes on it, a lower "
    "--folds-at-once"
)
"""What to try where training does not fit into the memory."""


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one: the one of this process under torchrun.

    A UsageError where there is no such device, or nobody has tried one like it.
    """
    if name.partition(":")[0] == "mps":
        raise UsageError(f"device {name!r}: constants are kept in float64, which mps has not; try --device cpu")
    if name == "auto":
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here ({reason}); try --device cpu") from error
    return device


def arithmetic(amp: str, device: torch.device) -> str:
    """What `--amp` comes to on this device: bf16, tf32 or fp32; auto is bf16 on a GPU that computes in it.

    A UsageError where bf16 is asked for on a GPU without it: there PyTorch emulates it, slowly.
    """
    ampere = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if amp == "bf16" and device.type == "cuda" and not ampere:
        raise UsageError(f"{torch.cuda.get_device_name(device)} does not compute in bf16; leave out --amp bf16")
    return amp if amp != "auto" else "bf16" if ampere else "fp32"


def halved(size: int, unit: str, device: torch.device, advice: str, fixed: bool = False) -> int:
    """How many `unit`s, such as "fold", to try after `size` were too many for the memory, which is said.

    Where not even one fits, or the size is `fixed`, a UsageError gives the `advice` what to try.
    """
    torch.cuda.empty_cache()  # only here, outside of the handler, is the failed attempt forgotten
    if size == 1 or fixed:
        raise UsageError(f"out of memory on {device} with {size} {unit}{'s' * (size > 1)}; try {advice}")
    size = (size + 1) // 2
    log.info(f"out of memory on {device}; going on with {size} {unit}s at a time")
    return size


def shrinking(attempt: Callable[[int], Result], size: int, unit: str, device: torch.device, advice: str) -> Result:
    """`attempt(size)`; where the memory of the device does not suffice, again with half the size, as `halved` says."""
    while True:
        with suppress(torch.OutOfMemoryError):
            return attempt(size)
        size = halved(size, unit, device, advice)


def free_memory(device: torch.device) -> int:
    """Free bytes of a GPU, or of this machine: what is available, within the limits of container and batch job."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch's own reserve
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    free = int(psutil.virtual_memory().available)
    used = psutil.Process().memory_info().rss
    return max(0, min([free, *(limit - used for limit in _memory_limits())]))


def _memory_limits() -> Iterator[int]:  # of the control groups that this process is in, and of those around them
    inside = {Path()}
    with suppress(OSError):  # lines such as 0::/job or 4:memory:/job
        lines = _MY_CGROUPS.read_text(encoding="utf-8").splitlines()
        inside |= {Path(line.split(":", 2)[2].lstrip("/")) for line in lines}
    for place in {outer for group in inside for outer in (group, *group.parents)}:
        for file in (_CGROUP / place / "memory.max", _CGROUP / "memory" / place / "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # no such file (versions 2 and 1 differ), or "max"
                yield int(file.read_text(encoding="ascii"))


def describe_environment(device: torch.device) -> dict[str, Any]:
    """What env.json holds: tool, command, time, host, device, versions."""
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": typed_command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU",
        "versions": {name: version(name) for name in ("torch", "timm", "numpy", "h5py")}
        | {"python": platform.python_version()},
    }


@dataclass(frozen=True)
class Ranks:
    """Which process this is: from 0 to count − 1."""

    rank: int = 0
    count: int = 1

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            torch.distributed.barrier()


def leads() -> bool:
    """Whether this is the process that prints and writes what exists once: the only one, or torchrun's first."""
    return os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1"


def join_ranks() -> Ranks:
    """Join the processes that torchrun started, for as long as this one lives; alone otherwise.

    Ranks exchange nothing but "I am here", so the same backend serves with and without GPUs. A UsageError where the
    variables of torchrun are there in part, or are no numbers.
    """
    try:
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return Ranks()
        ranks, local = Ranks(int(os.environ["RANK"]), count), int(os.environ.get("LOCAL_RANK", "0"))
    except (KeyError, ValueError) as error:
        problem = f"WORLD_SIZE is set as by torchrun, but not all is ({error})"
        raise UsageError(f"{problem}; use torchrun, or unset it") from error
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    if not torch.distributed.is_initialized():  # several runs of one command share the group
        torch.distributed.init_process_group("gloo", timeout=_TIMEOUT)
        atexit.register(torch.distributed.destroy_process_group)
    return ranks
