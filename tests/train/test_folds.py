"""Leave one subject out: who is tested, who is trained on, by data set and subject."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_cache.errors import UsageError
from data_cache.protocols.published import PROTOCOLS
from train.config import TrainConfig
from train.data.folds import LOSO, Fold, choose_split, unused_subjects


def loso_folds(clips: list[tuple[str, str, int]]) -> tuple[Fold, ...]:
    """Folds of clips that are (data set, subject, label)."""
    keys = {i: (dataset, subject, f"c{i}") for i, (dataset, subject, _) in enumerate(clips)}
    return LOSO.divide(keys, {i: label for i, (_, _, label) in enumerate(clips) if label >= 0})


CLIPS = st.lists(
    st.tuples(st.sampled_from(("casme2", "samm")), st.sampled_from(("1", "2", "10")), st.integers(-1, 2)), max_size=30
)


@given(clips=CLIPS)
def test_each_clip_is_tested_once_by_a_model_that_never_saw_its_subject(clips: list[tuple[str, str, int]]) -> None:
    usable = {i for i, clip in enumerate(clips) if clip[2] >= 0}
    people = {clips[i][:2] for i in usable}
    if len(people) < 2:
        with pytest.raises(UsageError, match="at least two subjects"):
            loso_folds(clips)
        return
    found = loso_folds(clips)
    assert sorted(i for fold in found for i in fold.test) == sorted(usable)
    assert {fold.name for fold in found} == {"__".join(person) for person in people}
    for fold in found:
        assert {"__".join(clips[i][:2]) for i in fold.test} == {fold.name}
        assert set(fold.train) == usable - set(fold.test)
    unused = unused_subjects([(*clip[:2], "c") for clip in clips], [clip[2] for clip in clips])
    assert set(unused) == {"/".join(person) for person in {clip[:2] for clip in clips} - people}


def test_subjects_come_in_natural_order_and_have_seeds_of_their_own() -> None:
    clips = [("s", name, 0) for name in ("sub10", "sub2", "sub1")]
    folds, fewer = loso_folds(clips), loso_folds(clips[:2])
    assert [fold.subject for fold in folds] == ["sub1", "sub2", "sub10"]
    assert {fold.name: fold.seed(3) for fold in fewer}.items() <= {fold.name: fold.seed(3) for fold in folds}.items()
    assert len({fold.seed(base) for fold in folds for base in (0, 1)}) == 6


def task_of(config: TrainConfig, protocol: str, keys: list[tuple[str, str, str]]) -> tuple[Fold, ...]:
    """Folds of clips of two classes in turn."""
    split = choose_split(config, PROTOCOLS[protocol], keys)
    return split.divide(dict(enumerate(keys)), {i: i % 2 for i in range(len(keys))})


COMPOSITE = [(dataset, f"s{n // 4}", f"c{n}") for dataset in ("casme2", "samm", "smic") for n in range(24)]
PARTS = [("dfme", f"{part}-sub{n}{part[-1]}", "c") for part in ("training", "testA", "testB") for n in range(6)]


@pytest.mark.parametrize("split", ["loso", "lodo", "kfold:2", "kfold:5", "kfold:5:7"])
def test_every_split_tests_each_clip_once_and_keeps_persons_on_one_side(split: str) -> None:
    folds = task_of(TrainConfig(split=split), "megc2019", COMPOSITE)
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(COMPOSITE)))
    for fold in folds:
        assert not {COMPOSITE[i][:2] for i in fold.train} & {COMPOSITE[i][:2] for i in fold.test}
        assert sorted((*fold.train, *fold.test)) == list(range(len(COMPOSITE)))
    assert folds == task_of(TrainConfig(split=split), "megc2019", COMPOSITE)


def test_one_fold_for_parts_and_for_data_sets_apart() -> None:
    (fold,) = task_of(TrainConfig(), "dfme", PARTS)
    assert (fold.name, fold.train, fold.test) == ("testA+testB", tuple(range(6)), tuple(range(6, 18)))
    (fold,) = task_of(TrainConfig(train_on="casme2,samm", test_on="smic"), "megc2019", COMPOSITE)
    assert (fold.name, fold.test) == ("smic", tuple(range(48, 72)))


@pytest.mark.parametrize(
    ("settings", "protocol", "keys"),
    [
        ({"split": "nonsense"}, "megc2019", COMPOSITE),
        ({"split": "kfold:40"}, "megc2019", COMPOSITE),
        ({"split": "kfold:1"}, "megc2019", COMPOSITE),
        ({"split": "fixed"}, "megc2019", COMPOSITE),
        ({"train_on": "casme2", "test_on": "smic"}, "megc2019", COMPOSITE),  # samm is on neither side
        ({"train_on": "casme2,samm,smic", "test_on": "smic"}, "megc2019", COMPOSITE),
        ({}, "dfme", PARTS[:6]),
        ({}, "dfme", [("dfme", "training-sub1", "a"), ("dfme", "testA-sub1", "b")]),  # one person on both sides
    ],
)
def test_what_cannot_be_divided_is_refused(
    settings: dict[str, str], protocol: str, keys: list[tuple[str, str, str]]
) -> None:
    with pytest.raises(UsageError):
        task_of(TrainConfig(**settings), protocol, keys)  # type: ignore[arg-type]
