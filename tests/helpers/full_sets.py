"""Data sets of the official size: labels by the published counts, on frames that are links to one small image."""

from collections.abc import Sequence
from itertools import cycle

from official_sets import SMIC_TOKENS, Expression

Label = tuple[str, str, str]
"""Subject, clip and raw emotion."""


def full_table(dataset: str) -> list[Label]:
    """A table with the class and subject structure of a full release; most names are made up.

    Of CASME II, the version of its sheet may follow: "casme2 2019".
    """
    name, _, sheet = dataset.partition(" ")
    return _full_casme2(sheet) if name == "casme2" else _FULL[name]()


def _spread(
    fixed: Sequence[tuple[str, str, int]], rest: dict[str, int], subjects: Sequence[str], clip: str = "X{number:03d}"
) -> list[Label]:
    """Some subjects with fixed clips; the rest of each emotion dealt out to the others in turn."""
    table = [(subject, emotion) for subject, emotion, count in fixed for _ in range(count)]
    turns = cycle(subjects)
    table += [(next(turns), emotion) for emotion, count in rest.items() for _ in range(count)]
    return [
        (subject, clip.format(of=subject, number=n, onset=11 + 20 * n, token=SMIC_TOKENS.get(emotion)), emotion)
        for n, (subject, emotion) in enumerate(table)
    ]


def _full_casme2(sheet: str) -> list[Label]:
    """By the sheet of 2014; of 2019, which has three labels of its own; or as private lists, with a row more: 247."""
    fixed = [("sub10", "others", 10), ("sub18", "others", 3), ("sub22", "repression", 2)]
    subjects = [f"sub{number:02d}" for number in range(1, 27) if number not in (10, 18, 22)]
    rest = {"others": 86, "disgust": 61, "happiness": 32, "repression": 25, "surprise": 25, "sadness": 4, "fear": 2}
    label = "surprise" if sheet == "2019" else "sadness"
    named = [("sub04", "EP12_01f", "disgust"), ("sub05", "EP09_05f", "disgust")]
    named += [("sub24", clip, label) for clip in ("EP07_01", "EP07_04f", "EP10_03")]
    named += [("sub24", "EP02_07", "disgust")] if sheet == "247" else []
    return [*_spread(fixed, rest, subjects), *named]


def _full_samm() -> list[Label]:
    angry = {"010": 4, "013": 6, "021": 2, "023": 1, "030": 3, "031": 1, "034": 3}
    fixed = [(subject, "anger", count) for subject, count in angry.items()]
    fixed += [("012", "surprise", 1), ("012", "fear", 2), ("025", "other", 4), ("024", "disgust", 1)]
    fixed += [("036", "disgust", 1)]
    alone = {subject for subject, _, _ in fixed}
    subjects = [f"{n:03d}" for n in range(6, 38) if n not in (8, 27, 29) and f"{n:03d}" not in alone]
    rest = {"anger": 37, "other": 22, "happiness": 26, "surprise": 14, "contempt": 12}
    return _spread(fixed, {**rest, "disgust": 7, "fear": 6, "sadness": 6}, subjects)


def _full_smic() -> list[Label]:
    subjects = [f"s{number}" for number in range(1, 21) if number not in (7, 10, 13, 16, 17)]
    rest = {"negative": 70, "positive": 41, "surprise": 43}
    return _spread([("s13", "positive", 10)], rest, subjects, "{of}_{token}_{number:03d}")


def _full_casme3() -> list[Label]:
    """94 subjects, six of whom show others alone; a clip's name is its video and its onset."""
    fixed = [(f"spNO.{number}", "others", 1) for number in range(301, 307)]
    rest = {"disgust": 250, "surprise": 187, "others": 155, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}
    return _spread(fixed, rest, [f"spNO.{number}" for number in range(1, 89)], "a_{onset}")


def _full_casme_sq() -> list[Label]:
    rest = {"negative": 21, "others": 19, "surprise": 9, "positive": 8}
    subjects = [f"s{number}" for number in (15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31)]
    return _spread([], rest, subjects, "anger1_{number:03d}")


def _full_dfme() -> list[Label]:
    names = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
    parts = {
        "training": (range(1, 177), (161, 100, 548, 265, 206, 278, 298)),
        "testA": (range(201, 243), (39, 34, 129, 62, 63, 46, 101)),
        "testB": (range(301, 342), (41, 37, 58, 38, 42, 35, 48)),
    }
    return [
        (f"{part}-sub{subject}", f"sub{subject}_{clip[1:]}", emotion)
        for part, (people, counts) in parts.items()
        for subject, clip, emotion in _spread([], dict(zip(names, counts, strict=True)), [f"{n:04d}" for n in people])
    ]


_FULL = {"samm": _full_samm, "smic": _full_smic, "casme3": _full_casme3, "casme-sq": _full_casme_sq, "dfme": _full_dfme}


def full_expressions(dataset: str, offset: int = 13) -> list[Expression]:
    """The full table with intervals from frame 11 to `offset`, 26 in what is as short as a good copy can be.

    Large sets have 2 frames, and the names of clips of CAS(ME)³ give their onsets.
    """
    rows = []
    for subject, clip, emotion in full_table(dataset):
        if dataset in ("casme3", "dfme"):
            onset = int(clip.partition("_")[2]) if dataset == "casme3" else 0
            rows.append(Expression(subject, clip, onset, onset, onset + 1, emotion))
        else:
            rows.append(Expression(subject, clip, 11, None if dataset == "smic" else 12, offset, emotion))
    return rows
