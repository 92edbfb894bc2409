"""Names of data sets, subjects and clips: which are plain, how any is shown, and in which order they come."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

MOST_NAME_BYTES = 64
_FORMULA = re.compile(r"=|[+@-].*[(|!]")  # what a spreadsheet would run; -1, + and @home are only text
_URL = re.compile(r"([A-Za-z][\w+.-]*://)([^/?#\s]*@)?([^?#\s]*)([?#]\S+?(?=[)\]'\",;:.]*(?:\s|$)))?")
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC",
              "Hiragino Sans", "Microsoft YaHei", "SimHei", "Arial Unicode MS")  # fmt: skip


def name_problem(what: str, name: str, most: int = MOST_NAME_BYTES) -> str | None:
    """Why `name` is no plain name of at most so many bytes, or None: a path would lead out, other things deceive."""
    if not name.strip():
        return f"{what} is empty; complete the annotation"
    if name in (".", "..") or "/" in name or "\\" in name:
        return f"{what} {name[:80]!r} is a path, expected a plain name; correct it"
    return text_problem(what, name, most)


def text_problem(what: str, text: str, most: int = MOST_NAME_BYTES) -> str | None:
    """Why `text` is no plain text of a cache, or None: control characters, a spreadsheet's formula, too long."""
    if _FORMULA.match(text) or not text.isprintable():
        return f"{what} {text[:80]!r} is a formula or holds control characters; correct it"
    if len(text.encode()) > most:
        return f"{what} {text[:40]!r}… is longer than {most} bytes; shorten it"
    return None


def without_secrets(text: str) -> str:
    """Text whose URLs lack what may be a password or a signature: the user before the host, and the query."""
    return _URL.sub(lambda url: f"{url[1]}{'…@' if url[2] else ''}{url[3]}{'?…' if url[4] else ''}", text)


def visible(text: str) -> str:
    """Text with control characters written out: a file's name must not be able to command a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t\xa0" else repr(c)[1:-1] for c in text)


def first_few(parts: Sequence[str], most: int = 3, between: str = "; ") -> str:
    """The first of many things, and how many more there are: a; b; c; and 4 more."""
    return between.join([*parts[:most], *([f"and {len(parts) - most} more"] if len(parts) > most else [])])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message on a `name` that is not among those that are known."""
    near = get_close_matches(name, known := list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


@contextmanager
def figure_fonts() -> Iterator[None]:
    """Within, figures show Chinese, Japanese and Korean names where a font is installed, and $ is no mathematics."""
    from matplotlib import font_manager, rc_context

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]
    with rc_context({"font.family": families, "text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key that orders the numbers inside `text` by value: sub2 before sub10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text) if part]
