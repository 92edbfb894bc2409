"""Several processes, one run: torchrun spreads groups of folds, and the run folder gathers them."""

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta

import torch

_PATIENCE = timedelta(days=7)
"""How long ranks wait for the slowest. When one dies, torchrun ends them all."""


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

    @property
    def leads(self) -> bool:
        """Whether this process writes what exists once."""
        return self.rank == 0

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
        torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
        atexit.register(torch.distributed.destroy_process_group)
    return ranks
