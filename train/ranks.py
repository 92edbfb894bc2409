"""Several processes, one run: torchrun spreads groups of folds, and the run folder gathers them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


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


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun started; alone otherwise."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks()
        return
    ranks = Ranks(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local % torch.cuda.device_count())
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield ranks
    finally:
        torch.distributed.destroy_process_group()
