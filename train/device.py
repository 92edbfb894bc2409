"""Where a run happens: device, free memory, processes of torchrun, software versions."""

import atexit
import os
import platform
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

from data_cache import __version__
from data_cache.errors import UsageError, typed_command

_CGROUP = Path("/sys/fs/cgroup")
_TIMEOUT = timedelta(days=7)
"""How long ranks wait for the slowest. When one dies, torchrun ends them all."""


def choose_device(name: str, rank: int = 0) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one: the one of this process under torchrun.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return (
            torch.device("cuda", rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here ({reason}); try --device cpu") from error
    return device


def free_memory(device: torch.device) -> int:
    """Free bytes of a GPU, or of this machine: what is available, within the limit of the container if it has one."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch's own reserve
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    free = int(psutil.virtual_memory().available)
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups, version 2 and 1
        try:
            free = min(free, int((_CGROUP / limit).read_text(encoding="ascii")) - psutil.Process().memory_info().rss)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return max(0, free)


def make_deterministic() -> None:
    """Allow only kernels that give the same bits every time; call it before the first use of a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


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
    """Which process this is.

    Attributes:
        rank: 0 to count − 1.
        count: processes in all.
        local: number of this process on its machine, which chooses its GPU.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            torch.distributed.barrier()


def leads() -> bool:
    """Whether this is the process that prints and writes what exists once: the only one, or torchrun's first."""
    return os.environ.get("RANK", "0") == "0"


def join_ranks() -> Ranks:
    """Join the processes that torchrun started, for as long as this one lives; alone otherwise.

    Ranks exchange nothing but "I am here", so the same backend serves with and without GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    ranks = Ranks(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local % torch.cuda.device_count())
    if not torch.distributed.is_initialized():  # several runs of one command share the group
        torch.distributed.init_process_group("gloo", timeout=_TIMEOUT)
        atexit.register(torch.distributed.destroy_process_group)
    return ranks
