"""Leave one subject out: the folds of a run, and the seed of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from data_cache.errors import UsageError
from data_cache.names import natural_key


@dataclass(frozen=True)
class Fold:
    """One subject is tested, all others train.

    Attributes:
        dataset: data set of the subject; subjects of two sets may share a name.
        subject: the one left out.
        train: indices of the training clips.
        test: indices of the subject's clips.
    """

    dataset: str
    subject: str
    train: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def name(self) -> str:
        """`dataset__subject`, the name of its files."""
        return f"{self.dataset}__{self.subject}"

    def seed(self, base: int) -> int:
        """A seed from the base seed and the subject: neither the order nor the company of folds matters."""
        return fold_seed(base, self.name)


def subject_of(name: str) -> str:
    """The subject in a fold's name."""
    return name.partition("__")[2]


def fold_seed(base: int, name: str) -> int:
    """The seed of the fold called `name`."""
    return int.from_bytes(hashlib.sha256(f"{base}/{name}".encode()).digest()[:6], "big")


@dataclass(frozen=True)
class Folds:
    """All folds, in natural order of data set and subject, and the subjects that have none of the classes."""

    folds: tuple[Fold, ...]
    unused_subjects: tuple[str, ...]


def loso_folds(datasets: Sequence[str], subjects: Sequence[str], labels: Sequence[int]) -> Folds:
    """One fold per subject with at least one clip of a class (label ≥ 0).

    Raises:
        UsageError: fewer than two such subjects, so that there is nothing to train on.
    """
    everyone = list(zip(datasets, subjects, strict=True))
    usable = [i for i, label in enumerate(labels) if label >= 0]
    tested = sorted({everyone[i] for i in usable}, key=lambda pair: (pair[0], natural_key(pair[1])))
    if len(tested) < 2:
        raise UsageError(
            f"leaving one subject out needs at least two subjects with labelled clips; found {len(tested)}"
        )
    folds = tuple(
        Fold(
            *pair,
            train=tuple(i for i in usable if everyone[i] != pair),
            test=tuple(i for i in usable if everyone[i] == pair),
        )
        for pair in tested
    )
    unused = sorted(f"{dataset}/{subject}" for dataset, subject in set(everyone) - set(tested))
    return Folds(folds, tuple(unused))
