"""The page itself: its parts as Python values, how they become files, and the page of a cache without predictions."""

import json
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.explore.charts import Bar, bars, where
from data_cache.explore.clips import entries, strips
from data_cache.files.atomic import write_bytes
from data_cache.names import natural_key
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid
from data_cache.sharing.info import describe

MOST_BYTES = 25_000_000
"""The largest page that is written as a single file: browsers and mail programs grow slow beyond."""
_HERE = "data_cache.explore"


def require_own(folder: Path) -> None:
    """Refuse, with a `UsageError`, to write a page into a folder that holds other things."""
    if folder.is_file() or (folder.exists() and any(folder.iterdir()) and not (folder / "index.html").exists()):
        raise UsageError(f"{folder} is not empty and holds no page of ours; name another folder")


@dataclass(frozen=True)
class Chart:
    """A chart: its HTML (see `charts`), its caption, and the name of the figure files beside the page, if any."""

    html: str
    caption: str
    file: str = ""


@dataclass
class Section:
    """A part of the page below the clips; tables have a `caption`, `headings` and `rows` of `cells` and a `kind`."""

    id: str
    title: str
    texts: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


@dataclass
class Page:
    """A page on which clips move.

    Attributes:
        title, lead, notices: what stands on top.
        clips: one dictionary per clip, as page.js reads it; see `clips.entries`.
        strips: how the strips are laid out and what α made them; see `clips.strips`.
        sections: what stands below.
        classes: names of the classes that predictions count in.
        runs: names of the runs whose predictions the clips hold; none for a cache.
    """

    title: str
    lead: str
    notices: list[str]
    clips: list[dict[str, Any]]
    strips: dict[str, Any]
    sections: list[Section] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def write(self, folder: Path, *, single_file: bool = False) -> Path:
        """Write `index.html` into `folder`, and `data.js` unless all goes into one file; the path of the page.

        A single file above 25 MB is refused with a UsageError.
        """
        values = {"clips": self.clips, "strips": self.strips, "classes": self.classes, "runs": self.runs}
        # Plain ASCII without "<": no name in it can end the script, whatever it holds.
        data = "window.MPT = " + json.dumps(values, separators=(",", ":")).replace("<", "\\u003c") + ";\n"
        labels = sorted({clip["label"] for clip in self.clips})
        shown = data if single_file else ""
        encoded = rendered(_HERE, "page.html.j2", **vars(self), js=_part("js"), data=shown, labels=labels)
        if single_file and len(encoded) > MOST_BYTES:
            size = f"{len(encoded) / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}"
            advice = "leave out --single-file for a folder, or add --no-images"
            raise UsageError(f"one file with {len(self.clips)} clips would have {size}; {advice}")
        if not single_file:
            write_bytes(folder / "data.js", data.encode())
        write_bytes(folder / "index.html", encoded)
        used = {folder / name for clip in self.clips for name in clip.get("strips", {}).values() if not single_file}
        old = [*(folder / "clips").glob("*-[moed].*")] + [folder / "data.js"] * single_file
        for path in set(old) - used:  # of an earlier page: one without images must not stand beside them
            path.unlink(missing_ok=True)
        return folder / "index.html"


def rendered(package: str, template: str, **values: Any) -> bytes:
    """A template of `package` with these values, which are escaped, and with the style of all pages, as UTF-8."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader(package, ""), autoescape=True, trim_blocks=True)
    html = environment.get_template(template).render(css=_part("css"), **values)
    return html.encode(errors="backslashreplace")


def _part(kind: str) -> str:
    return (files(_HERE) / f"page.{kind}").read_text(encoding="utf-8")


def explore(path: Path, folder: Path, *, images: bool = True, single_file: bool = False) -> Path:
    """Write a page on which the clips of a cache can be sorted, filtered and seen moving; its path.

    Args:
        folder: where `index.html`, `data.js` and `clips/` go; a page that is there already is replaced.
        images: whether the page may hold pixels.
        single_file: put all into `index.html`.

    Raises:
        UsageError: the folder holds something else, or one file would be too large.
    """
    require_own(folder)
    with CacheReader(path) as reader:
        require_valid(reader, pixels=False)
        described = describe(reader)
        clips = entries(reader, folder, images=images, single_file=single_file)
    counts = [
        Chart(_counts(Counter(clip[name] for clip in clips), name), f"Clips of each {word}.")
        for name, word in (("label", "class"), ("subject", "subject"))
    ]
    sections = [
        Section("counts", "Classes and subjects", charts=counts),
        Section(
            "recipe",
            "Recipe and provenance",
            [f"Content digest {described['content_digest']}", f"Recipe digest {described['recipe_digest']}"],
            blocks=[json.dumps(described[name], indent=2, ensure_ascii=False) for name in ("recipe", "provenance")],
        ),
    ]
    page = Page(
        f"{described['dataset']}: {described['clips']} clips",
        f"{described['subjects']} subjects, {described['frames']} frames of {described['size']} × {described['size']} "
        "pixels per clip. Choose a clip to see it move.",
        [described["licence_notice"]],
        clips,
        strips(described["recipe"]),
        sections,
    )
    return page.write(folder, single_file=single_file)


def _counts(counted: Counter[str], name: str) -> str:
    most = max(counted.values(), default=1)
    rows = sorted(counted.items(), key=lambda item: natural_key(item[0]))
    return bars([Bar(key, [n / most], [str(n)], where(**{name: key})) for key, n in rows])
