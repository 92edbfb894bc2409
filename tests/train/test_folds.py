"""Leave one subject out: who is tested, who is trained on, by data set and subject."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_cache.errors import UsageError
from train.data.folds import loso_folds

CLIPS = st.lists(
    st.tuples(st.sampled_from(("casme2", "samm")), st.sampled_from(("1", "2", "10")), st.integers(-1, 2)), max_size=30
)


@given(CLIPS)
def test_each_labelled_clip_is_tested_once_by_a_model_that_never_saw_its_subject(
    clips: list[tuple[str, str, int]],
) -> None:
    datasets, subjects, labels = ([clip[k] for clip in clips] for k in range(3))
    usable = {i for i, label in enumerate(labels) if label >= 0}
    people = {(datasets[i], subjects[i]) for i in usable}
    if len(people) < 2:
        with pytest.raises(UsageError, match="at least two subjects"):
            loso_folds(datasets, subjects, labels)
        return
    found = loso_folds(datasets, subjects, labels)
    assert sorted(i for fold in found.folds for i in fold.test) == sorted(usable)
    assert {(fold.dataset, fold.subject) for fold in found.folds} == people
    for fold in found.folds:
        assert {(datasets[i], subjects[i]) for i in fold.test} == {(fold.dataset, fold.subject)}
        assert set(fold.train) == usable - set(fold.test)
    nobody = {(d, s) for d, s, _ in clips} - people
    assert set(found.unused_subjects) == {f"{d}/{s}" for d, s in nobody}


def test_a_subject_of_another_set_is_another_person() -> None:
    """Subject 1 of one set stays in training when subject 1 of the other is left out."""
    folds = loso_folds(["casme2", "samm", "samm"], ["1", "1", "2"], [0, 1, 0]).folds
    assert [(fold.dataset, fold.subject, fold.train) for fold in folds] == [
        ("casme2", "1", (1, 2)),
        ("samm", "1", (0, 2)),
        ("samm", "2", (0, 1)),
    ]


def test_subjects_come_in_natural_order_and_have_seeds_of_their_own() -> None:
    folds = loso_folds(["s"] * 3, ["sub10", "sub2", "sub1"], [0, 0, 1]).folds
    assert [fold.subject for fold in folds] == ["sub1", "sub2", "sub10"]
    fewer = loso_folds(["s"] * 2, ["sub10", "sub2"], [0, 0]).folds
    assert {fold.name: fold.seed(3) for fold in fewer}.items() <= {fold.name: fold.seed(3) for fold in folds}.items()
    assert len({fold.seed(base) for fold in folds for base in (0, 1)}) == 6
