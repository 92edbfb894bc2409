"""Small trees of CAS(ME)³, DFME and CAS(ME)² as delivered: names and columns are real, clips and numbers made up."""

from collections.abc import Sequence
from pathlib import Path

from official_sets import Expression, Value, write_book

CASME3 = (
    Expression("spNO.1", "a_166", 166, 170, 175, "disgust", "4+7"),
    Expression("spNO.1", "a_201", 201, 204, 210, "others", "12"),
    Expression("spNO.14", "j_8", 8, 8, 12, "happiness", "R12"),
    Expression("spNO.217", "l_164", 164, 166, 170, "sadness", "T28+14"),
)
CASME3_SHEET = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
CASME3_HEADER = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
_SPELLED = {"happiness": "happy", "sadness": "sad", "others": "Others"}


def casme3_sheet(path: Path, expressions: Sequence[Expression]) -> None:
    """Short labels, the video's letter in upper case at times, numbers as text at times."""
    rows: list[Sequence[Value]] = [CASME3_HEADER]
    for index, each in enumerate(expressions):
        video, onset = each.clip.split("_")
        letter = video.upper() if each.subject == "spNO.14" else video
        numbers: tuple[Value, ...] = (int(onset), each.apex, each.offset)
        numbers = tuple(map(str, numbers)) if index % 2 else numbers
        emotion = _SPELLED.get(each.emotion, each.emotion)
        rows.append((each.subject, letter, *numbers, each.units, "I", emotion))
    write_book(path, {"label": rows, "Sheet1": []})


def casme3_tree(
    root: Path, expressions: Sequence[Expression] = CASME3, frames: str = "part_A", sheet: str = CASME3_SHEET
) -> list[Expression]:
    """Videos (`part_A`) or clips (`Part_A_ME_clip/frame`); one subject's folder in another case."""
    for each in expressions:
        video, onset = each.clip.split("_")
        if "clip" in frames:
            folder = root / frames / f"{each.subject}_{video}_{onset}"
        else:
            folder = root / frames / each.subject.replace("NO.14", "No.14") / video / "color"
        each.film(folder, "{}.jpg")
    casme3_sheet(root / sheet, expressions)
    return list(expressions)


CASME3_C = (Expression("01", "a_31", 31, None, 38, "negative", "4,7"), Expression("03", "a_4", 4, None, 9, "positive"))


def casme3_c_tree(root: Path) -> list[Expression]:
    rows: list[Sequence[Value]] = [("sub", "count", "onset", "offset", "au", "emotion")]
    for each in CASME3_C:
        each.film(root / "part_C/part_C" / each.subject / "a/color", "{}.jpg")
        rows.append((int(each.subject), 1, each.onset, each.offset, each.units, each.emotion))
    write_book(root / "CAS(ME)3_part_C_ME.xlsx", {"mockCrimeME": rows})
    return list(CASME3_C)


DFME = (
    Expression("training-sub0003", "sub0003_01", 0, 4, 9, "surprise", "1+2"),
    Expression("training-sub0004", "sub0004_07", 95, 99, 104, "anger", "L12"),
    Expression("testA-sub0101", "sub0101_02", 9, 12, 15, "fear"),
    Expression("testB-sub0201", "sub0201_01", 1, 3, 8, "contempt"),
)
DFME_HEADER = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU")
DFME_FOLDERS = {"training": "train_data", "testA": "test_data_A", "testB": "test_data_B"}


def dfme_tree(
    root: Path, expressions: Sequence[Expression] = DFME, rates: Sequence[Value] = (300,)
) -> list[Expression]:
    """Five-digit names from 0; the rates are dealt out in turn."""
    books: dict[str, list[Sequence[Value]]] = {}
    for index, each in enumerate(expressions):
        part, subject = each.subject.split("-")
        each.film(root / DFME_FOLDERS[part] / DFME_FOLDERS[part] / each.clip, "{:05d}.png")
        numbers = (each.onset, each.apex, each.offset)
        row = (subject, each.clip, *numbers, each.emotion, 0, rates[index % len(rates)], each.units)
        books.setdefault(part, [DFME_HEADER]).append(row)
    for part, rows in books.items():
        write_book(root / f"{part}_full_with_AU.xlsx", {"Sheet1": rows})
    return list(expressions)


CASME_SQ = (
    Expression("s15", "anger1_1", 557, 560, 566, "negative", "4"),
    Expression("s15", "happy5_2", 30, 33, 38, "positive", "6+12"),
    Expression("s23", "happy1_2", 12, 14, 20, "surprise", "1+2"),
)
CASME_SQ_SHEET = "CAS(ME)^2code_final.xlsx"
_SUBJECTS = dict(enumerate((15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31), 1))
_VIDEOS = {101: "disgust1", 401: "anger1", 502: "happy1", 508: "happy5"}
_LONG = {"anger1": "0401girlcrashing", "happy5": "0508funnydunkey", "happy1": "0502funnyerrors"}


def casme_sq_tree(
    root: Path, expressions: Sequence[Expression] = CASME_SQ, frames: str = "cropped/cropped"
) -> list[Expression]:
    """No header, micro among macro rows, two sheets of names; the long video of s23 lies in the folder of s19."""
    index = {f"s{folder}": number for number, folder in _SUBJECTS.items()}
    rows: list[Sequence[Value]] = [(1, "anger1_9", 5, 6, 0, "4", "negative", "macro-expression", "anger")]
    for each in expressions:
        person = each.subject.removeprefix("s")
        if "raw" in frames:
            place = "s19" if person == "23" else each.subject
            each.film(root / frames / place / f"{person}_{_LONG[each.clip.partition('_')[0]]}", "img{:03d}.jpg")
        else:
            each.film(root / frames / (person if "crop" in frames else each.subject) / each.clip, "img{}.jpg")
        moments = (each.onset, each.apex, each.offset)
        rows.append(
            (index[each.subject], each.clip, *moments, each.units, each.emotion, "micro-expression", "happyiness")
        )
    rules: list[Sequence[Value]] = [(folder, f"s{folder}", number) for number, folder in _SUBJECTS.items()]
    videos: list[Sequence[Value]] = list(_VIDEOS.items())
    write_book(root / CASME_SQ_SHEET, {"CASFEcode_final": rows, "naming rule1": rules, "naming rule2": videos})
    return list(expressions)
