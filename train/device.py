"""Where a run happens: device, software versions, and settings of the numerical libraries."""

import os
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from data_cache import __version__
from data_cache.errors import UsageError


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


def make_deterministic() -> None:
    """Allow only kernels that give the same bits every time; call it before the first use of a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


def describe_environment(device: torch.device) -> dict[str, Any]:
    """What env.json holds: tool, command, time, host, device, versions."""
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU",
        "versions": {name: version(name) for name in ("torch", "timm", "numpy", "h5py")}
        | {"python": platform.python_version()},
    }
