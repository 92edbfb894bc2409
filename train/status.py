"""What `mpt status` and `mpt doctor` say of training: runs, the backbone's weights, the GPU, how long a run takes."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_cache.errors import MptError
from data_cache.files.space import lasting
from train.config import TrainConfig
from train.results.run_folder import RUNS, RunFolder

_SHARES = (0.6, 0.12)
"""Of the matrix rate that training reaches, at best and at worst (docs: performance)."""


@dataclass(frozen=True)
class Found:
    """A run that was found.

    Attributes:
        datasets: names of the data sets that it is trained on.
        state: scores, or how far it is.
        todo: the command that it waits for, "" if none.
    """

    path: Path
    datasets: tuple[str, ...]
    state: str
    todo: str


def runs() -> Iterator[Found]:
    """The runs below runs/."""
    for path in sorted(each.parent for each in RUNS.glob("*/config.json")):
        try:
            yield _found(RunFolder(path))
        except (MptError, OSError, KeyError, TypeError) as error:
            yield Found(path, (), f"cannot be read: {error}", "")


def _found(run: RunFolder) -> Found:
    config = run.config
    datasets = tuple(str(cache["dataset"]) for cache in config["caches"])
    if not run.is_finished:
        done, folds = len(list((run.path / "folds").glob("*.json"))), len(config["subjects"])
        command = re.sub(r" --(folds|subjects)[ =]\S+", "", str(run.environment["command"]))
        return Found(run.path, datasets, f"unfinished: {done} of {folds} folds", command)
    final = run.summary["final_epoch"]
    scores = (
        f"{name} {final[key]:.1%} ({'–'.join(f'{100 * value:.1f}' for value in final['interval_95'][key])})"
        for name, key in (("Acc", "accuracy"), ("UF1", "macro_f1"))
    )
    reported = (run.path / "report" / "index.html").is_file()
    state = f"{', '.join(scores)}, {'report made' if reported else 'no report'}"
    return Found(run.path, datasets, state, "" if reported else f"mpt report {run.path}")


def weights() -> str:
    """Whether the usual backbone's weights are on this disk."""
    from huggingface_hub import try_to_load_from_cache

    name = TrainConfig().backbone
    kept = any(isinstance(try_to_load_from_cache(f"timm/{name}", file), str)
               for file in ("model.safetensors", "pytorch_model.bin"))  # fmt: skip
    return f"{name}: {'on this disk' if kept else 'not on this disk; training fetches them (0.4 GB)'}"


def gpu() -> str:
    """The GPUs that PyTorch can use."""
    import torch

    if torch.cuda.is_available():
        each = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
        return ", ".join(f"{gpu.name} ({gpu.total_memory / 1e9:.0f} GB)" for gpu in each)
    return f"none that PyTorch {torch.__version__} can use; it computes on {torch.get_num_threads()} CPU threads"


def forecast(cache: Path) -> str:
    """How long the default training on a cache takes here, from its operations and this machine's matrix rate.

    Raises:
        MptError: it cannot be trained on; the message says why.
    """
    from train.cost.accounting import account
    from train.data.task import make_task
    from train.device import choose_device

    task, config = make_task([cache], TrainConfig()), TrainConfig()
    shown = config.epochs * sum(len(fold.train) for fold in task.folds)
    operations = 6 * shown * account(config, task.shape).multiply_adds_shortcut  # forward, and twice that backward
    rate = _matrix_rate(str(choose_device("auto")))
    best, worst = (lasting(operations / (share * rate)) for share in _SHARES)
    return f"{len(task.folds)} folds × {config.epochs} epochs, roughly {best} to {worst}; --dry-run says more"


def _matrix_rate(device: str) -> float:
    """Floating-point operations per second of a large matrix product."""
    import torch

    side, kind = (8192, torch.bfloat16) if device.startswith("cuda") else (1536, torch.float32)
    matrix = torch.ones(side, side, dtype=kind, device=device)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)


def hub() -> str:
    """Whether the hub that serves the weights answers within three seconds."""
    from urllib.error import URLError
    from urllib.request import urlopen

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urlopen(address, timeout=3).close()
    except (URLError, OSError, ValueError) as error:
        return f"{address} does not answer ({getattr(error, 'reason', error)})"
    return f"{address} answers"
