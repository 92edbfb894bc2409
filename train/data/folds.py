"""Splits: the ways to divide a run's clips into folds, and the seed of each fold.

No split ever puts clips of one person both among those that a model is trained and those that it is tested on.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from data_cache.errors import UsageError
from data_cache.names import first_few, natural_key
from data_cache.protocols.protocol import ClipKey, Protocol, part_of
from train.config import Execution, TrainConfig


@dataclass(frozen=True)
class Fold:
    """One model.

    Attributes:
        name: what it is tested on, and the name of its files: `dataset__subject`, `casme2`, `fold-1`, `testA+testB`.
        test: indices of the tested clips; no person has clips in both.
        shuffle: number of the shuffled labels that it is trained and tested on, in a copy for `--null`; 0 for the real.
    """

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    shuffle: int = 0

    @property
    def subject(self) -> str:
        """The subject left out, or the whole name where a fold is no single subject's."""
        return subject_of(self.name)

    def copies(self, number: int) -> list["Fold"]:
        """The same fold with so many different shuffles of the labels."""
        return [replace(self, name=f"null{n}.{self.name}", shuffle=n) for n in range(1, number + 1)]

    def seed(self, base: int) -> int:
        """A seed from the base seed and the name: neither the order nor the company of folds matters."""
        return int.from_bytes(hashlib.sha256(f"{base}/{self.name}".encode()).digest()[:6], "big")


def subject_of(name: str) -> str:
    """The subject in a fold's name; the name itself where it holds none."""
    return name.partition("__")[2] or name


dataset_of: Callable[[ClipKey], str] = itemgetter(0)
"""The data set of a clip."""


Keys = Mapping[int, ClipKey]
Labels = Mapping[int, int]


@dataclass(frozen=True)
class Split:
    """A way to divide labelled clips into folds.

    Attributes:
        title: for tables and reports.
        divide: keys of all clips and labels of those that have one → folds, or a UsageError.
        part: what a tested clip is scored with beside the pooled scores: its data set, or testA.
    """

    title: str
    divide: Callable[[Keys, Labels], tuple[Fold, ...]]
    part: Callable[[ClipKey], str] = dataset_of


def _each_left_out(names: Mapping[int, str]) -> tuple[Fold, ...]:
    """A fold for each name, in their order; `names` holds all labelled clips."""
    clips = sorted(names)
    return tuple(
        Fold(name, tuple(i for i in clips if names[i] != name), tuple(i for i in clips if names[i] == name))
        for name in dict.fromkeys(names.values())
    )


def _leave_one_out(unit: str, named: Callable[[ClipKey], str]) -> Split:
    """Each `unit`, a subject or a data set, is tested on in turn by a fold of its name; all others are trained on."""
    title = f"leave-one-{unit.replace(' ', '-')}-out"

    def divide(keys: Keys, labels: Labels) -> tuple[Fold, ...]:
        order = sorted(labels, key=lambda i: (keys[i][0], natural_key(keys[i][1])))
        folds = _each_left_out({i: named(keys[i]) for i in order})
        if len(folds) < 2:
            raise UsageError(f"{title} needs at least two {unit}s with labelled clips; found {len(folds)}")
        return folds

    return Split(title, divide)


def _kfold(numbers: str, *others: object) -> Split:  # noqa: ARG001
    """Subjects are dealt into k folds with much the same classes (scikit-learn's StratifiedGroupKFold).

    The seed decides who is in which; it is not that of training, so that runs with other seeds share the folds.
    """
    k, _, seed = numbers.partition(":")
    if not (k.isdigit() and int(k) >= 2 and (seed or "0").isdigit()):
        raise UsageError(f"--split kfold:{numbers}; expected kfold:5, or kfold:5:7 for five other folds")

    def divide(keys: Keys, labels: Labels) -> tuple[Fold, ...]:
        from sklearn.model_selection import StratifiedGroupKFold

        clips, persons = list(labels), ["/".join(keys[i][:2]) for i in labels]
        dealer = StratifiedGroupKFold(int(k), shuffle=True, random_state=int(seed or 0))
        names: dict[int, str] = {}
        try:
            with warnings.catch_warnings():  # a class with fewer than k clips cannot be in each fold, which is no fault
                warnings.simplefilter("ignore", UserWarning)
                for number, (_, tested) in enumerate(dealer.split(clips, list(labels.values()), persons), 1):
                    names |= dict.fromkeys((clips[i] for i in tested), f"fold-{number}")
        except ValueError as error:
            raise UsageError(f"--split kfold:{k} does not fit {len(set(persons))} subjects: {error}") from error
        if len(set(names.values())) < int(k):
            raise UsageError(f"--split kfold:{k}: some folds are empty with {len(set(persons))} subjects; take less")
        return _each_left_out(names)

    return Split(f"{int(k)} folds by subject", divide)


def _apart(title: str, trained: Sequence[str], tested: Sequence[str], part: Callable[[ClipKey], str]) -> Split:
    """One fold, called by what it is tested on: some parts; it is trained on others."""

    def divide(keys: Keys, labels: Labels) -> tuple[Fold, ...]:
        there = {part(keys[i]) for i in labels}
        sides = [[i for i in labels if part(keys[i]) in side] for side in (trained, tested)]
        if there != {*trained, *tested} or not all(sides) or set(trained) & set(tested):
            raise UsageError(
                f"{title}: trained on {', '.join(trained)}, tested on {', '.join(tested) or 'nothing'}; the caches "
                f"have labelled clips of {', '.join(sorted(there)) or 'nothing'}. Each must be on one side"
            )
        persons = [{(keys[i][0], keys[i][1].removeprefix(f"{part(keys[i])}-")) for i in side} for side in sides]
        if both := sorted("/".join(person) for person in persons[0] & persons[1]):
            raise UsageError(f"{title}: {first_few(both)} would be both trained and tested on")
        return (Fold("+".join(tested), tuple(sides[0]), tuple(sides[1])),)

    return Split(title, divide, part)


def _fixed(_: str, protocol: Protocol, keys: Sequence[ClipKey]) -> Split:
    if not protocol.split:
        raise UsageError(f"protocol {protocol.name} has no fixed split; choose another --split")
    trained, *tested = protocol.split
    there = {part_of(key) for key in keys}
    return _apart(f"the fixed split of {protocol.name}", [trained], [part for part in tested if part in there], part_of)


LOSO, _LODO = _leave_one_out("subject", lambda key: f"{key[0]}__{key[1]}"), _leave_one_out("data set", dataset_of)
SPLITS: Mapping[str, Callable[[str, Protocol, Sequence[ClipKey]], Split]] = {
    "loso": lambda *_: LOSO,
    "lodo": lambda *_: _LODO,
    "kfold": _kfold,
    "fixed": _fixed,
}
"""The values of `--split`: from the numbers after its colon, the protocol and the labelled clips to the split."""


def choose_split(config: TrainConfig, protocol: Protocol, keys: Sequence[ClipKey]) -> Split:
    """The split that the settings name, or else the protocol's own; a UsageError if there is no such split."""
    if config.train_on is not None and config.test_on is not None:
        trained, tested = ([name.strip() for name in names.split(",")] for names in (config.train_on, config.test_on))
        return _apart(f"trained on {' and '.join(trained)}", trained, tested, dataset_of)
    name, _, numbers = (config.split or ("fixed" if protocol.split else "loso")).partition(":")
    if name not in SPLITS or (numbers and name != "kfold"):
        raise UsageError(f"no split {config.split!r}; choose one of {', '.join(SPLITS)} (kfold:5)")
    return SPLITS[name](numbers, protocol, keys)


def choose_folds(folds: Sequence[Fold], execution: Execution) -> list[Fold]:
    """The folds that `--subjects` and `--folds` name, or all; a UsageError if a subject or all folds are missing."""
    wanted = execution.subject_names
    unknown = wanted - {fold.subject for fold in folds} - {fold.name for fold in folds}
    if unknown:
        known = ", ".join(fold.subject for fold in folds)
        raise UsageError(f"no subject {', '.join(sorted(unknown))}; there are {known}")
    chosen = [fold for fold in folds[execution.fold_range] if not wanted or {fold.subject, fold.name} & wanted]
    if not chosen:
        raise UsageError("no fold is left to train; check --folds and --subjects")
    return chosen


def used_clips(folds: Sequence[Fold]) -> list[int]:
    """The clips that any of `folds` trains or tests on, in order."""
    return sorted({clip for fold in folds for clip in (*fold.train, *fold.test)})


def unused_subjects(keys: Sequence[ClipKey], labels: Sequence[int]) -> list[str]:
    """Subjects without a clip of any class (label ≥ 0), as `dataset/subject`."""
    everyone = {key[:2] for key in keys}
    return sorted(
        "/".join(person) for person in everyone - {k[:2] for k, n in zip(keys, labels, strict=True) if n >= 0}
    )
