"""The page itself: its parts as Python values, and how they become files."""

import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.files.atomic import write_bytes

MOST_BYTES = 25_000_000
"""The largest page that is written as a single file: browsers and mail programs grow slow beyond."""


def require_own(folder: Path) -> None:
    """Refuse to write a page into a folder that holds other things.

    Raises:
        UsageError: it does.
    """
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

        Raises:
            UsageError: the single file would be larger than 25 MB.
        """
        from jinja2 import Environment, PackageLoader

        values = {"clips": self.clips, "strips": self.strips, "classes": self.classes, "runs": self.runs}
        # Plain ASCII without "<": no name in it can end the script, whatever it holds.
        data = "window.MPT = " + json.dumps(values, separators=(",", ":")).replace("<", "\\u003c") + ";\n"
        environment = Environment(loader=PackageLoader("data_cache.explore", ""), autoescape=True, trim_blocks=True)
        html = environment.get_template("page.html.j2").render(
            vars(self)
            | {
                name: (files("data_cache.explore") / f"page.{name}").read_text(encoding="utf-8")
                for name in ("js", "css")
            }
            | {"data": data if single_file else "", "labels": sorted({clip["label"] for clip in self.clips})}
        )
        encoded = html.encode(errors="backslashreplace")
        if single_file and len(encoded) > MOST_BYTES:
            raise UsageError(
                f"one file with {len(self.clips)} clips would have {len(encoded) / 1e6:.0f} MB, more than "
                f"{MOST_BYTES / 1e6:.0f}; leave out --single-file for a folder, or add --no-images"
            )
        if not single_file:
            write_bytes(folder / "data.js", data.encode())
        write_bytes(folder / "index.html", encoded)
        used = {folder / name for clip in self.clips for name in clip.get("strips", {}).values() if not single_file}
        old = [*(folder / "clips").glob("*-[moed].*")] + [folder / "data.js"] * single_file
        for path in set(old) - used:  # of an earlier page: one without images must not stand beside them
            path.unlink(missing_ok=True)
        return folder / "index.html"
