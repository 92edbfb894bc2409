"""CAS(ME)² (Qu et al. 2018): 30 fps, 640×480 pixels; 57 micro-expressions of 14 subjects.

Layouts as delivered, numbered as in the sheet:
- `rawpic/rawpic/s15/15_0401girlcrashing/img001.jpg`, long videos, whole scenes;
- `selectedpic/selectedpic/s15/anger1_1/img557.jpg`, clips, whole scenes;
- `cropped/cropped/15/anger1_1/img557.jpg`, clips of cropped faces.

`CAS(ME)^2code_final.xlsx` (also `code_final.xlsx`) has no header: subject index, clip, onset, apex,
offset, AU, emotion, type, self report. Its sheets `naming rule1` and `naming rule2` say which
folder an index is (1 is s15), and which video a clip is from (anger1 is 0401). Of its 357 rows only
micro-expressions are read. Released under a licence agreement: http://casme.psych.ac.cn
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import Discovery, find_root
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.folders import Layout, locate
from preprocess.datasets.sheet import find_sheet, read_lines

LAYOUTS = {
    "[0-9]*/*_[0-9]*": ("cropped/cropped", "cropped"),
    "s[0-9]*/[a-zA-Z]*_[0-9]*": ("selectedpic/selectedpic", "selectedpic"),
    "s[0-9]*/[0-9]*_[0-9]*": ("rawpic/rawpic", "rawpic"),
}
"""Pattern of the folders → where those may be, the preferred layout first."""


def casme_sq(root: Path, *, corrected: bool = True, sheet: Path | None = None) -> Discovery:
    """An `Adapter`; `sheet` is the sheet to read, by default the newest that is found."""
    found = Discovery("casme-sq", find_root(root, "casme-sq"))
    layout = locate(found, "CAS(ME)²", LAYOUTS, "cropped/15/…, selectedpic/s15/… or rawpic/s15/…")
    collect(found, _listed(found, sheet, layout), Facts(30.0), corrected)
    return found


def _names(path: Path) -> tuple[str, str]:
    """Number of the subject, and the clip (anger1_1) or the video (0401), that a folder shows."""
    if long := re.match(r"([0-9]+)_([0-9]{4})", path.name):
        return str(int(long[1])), long[2]
    return path.parent.name.lower().removeprefix("s"), path.name.lower()


def _listed(found: Discovery, chosen: Path | None, layout: Layout) -> Iterator[Listed]:
    # The number in front of a long video's name counts: 23_0502… lies in s19, but shows s23.
    folders = {_names(path): path for path in layout.clips.values()}
    sheets = read_lines(find_sheet(found, ("CAS*code_final*", "code_final*", "CASFEcode*"), chosen))
    by_name = {re.sub("[^a-z0-9]", "", name.lower()): lines for name, lines in sheets.items()}
    try:
        subjects = {line[2]: line[1] for _, line in by_name["namingrule1"]}
        videos = {line[1]: f"{int(line[0].removesuffix('.0')):04d}" for _, line in by_name["namingrule2"]}
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(f"the sheet of {found.root} lacks naming rule1 or naming rule2; is it the .xlsx?") from error
    rows = next(iter(by_name.values()))
    for number, line in rows:
        person, clip, onset, apex, offset, units, emotion, kind = [*line, *[""] * 8][:8]
        if not kind.lower().startswith("micro"):
            continue
        subject = subjects.get(person.removesuffix(".0"), person)
        place, video = subject.removeprefix("s"), videos.get(clip.partition("_")[0], "")
        folder = folders.get((place, clip.lower())) or folders.get((place, video)) or layout.folder / subject / clip
        yield Listed(number, subject, clip, folder, emotion, onset, apex, offset, units)
