"""What `mpt status` and `mpt doctor` say of training: runs, the backbone's weights, GPUs, the hub."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_cache.errors import MptError
from train.config import TrainConfig
from train.results.run_folder import RUNS, RunFolder
from train.results.tables import Share


@dataclass(frozen=True)
class Found:
    """A run: content digests of its caches, its scores or how far it is, the command that it waits for or ""."""

    path: Path
    contents: tuple[str, ...]
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
    contents = tuple(str(cache["content_digest"]) for cache in config["caches"])
    if not run.is_finished:
        done, folds = len(list((run.path / "folds").glob("*.json"))), len(config["subjects"])
        command = re.sub(r" --(folds|subjects)[ =]\S+", "", str(run.environment["command"]))
        return Found(run.path, contents, f"unfinished: {done} of {folds} folds", command)
    final = run.summary["final_epoch"]
    named = (("Acc", "accuracy"), ("UF1", "macro_f1"))
    scores = (f"{name} {Share(final[metric], final['interval_95'][metric])}" for name, metric in named)
    reported = (run.path / "report" / "index.html").is_file()
    state = f"{', '.join(scores)}, {'report made' if reported else 'no report'}"
    return Found(run.path, contents, state, "" if reported else f"mpt report {run.path}")


def machine() -> list[tuple[str, str]]:
    """The GPUs that PyTorch can use, and whether the weights of the usual backbone are on the disk."""
    import torch

    from train.model.weights import downloaded

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [torch.cuda.get_device_properties(number) for number in range(count)]
    named = [f"{gpu.name} ({gpu.total_memory / 1e9:.0f} GB)" for gpu in gpus]
    name = TrainConfig().backbone
    kept = downloaded(f"timm/{name}")
    return [
        ("GPU", ", ".join(named) or f"none that PyTorch can use; it computes on {torch.get_num_threads()} CPU threads"),
        ("weights", f"{name}: {'on this disk' if kept else 'not on this disk; training fetches them (0.4 GB)'}"),
    ]


def hub() -> str:
    """Whether the hub that serves the weights answers within three seconds."""
    from urllib.request import urlopen

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urlopen(address, timeout=3).close()
    except (OSError, ValueError) as error:
        return f"{address} does not answer ({getattr(error, 'reason', error)})"
    return f"{address} answers"
