"""The numbers that Word shows before paragraphs: 3., (b), IV, 1.2.3, a bullet."""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ingest.reading.docx.names import W
from ingest.reading.docx.styles import Numbering, Styles, find, value
from ingest.reading.numerals import numeral

LEVELS_MAX = 9
PLACE = re.compile(r"%([1-9])")
BULLET = "\u2022"


@dataclass(slots=True)
class _Level:
    """How a level counts and shows its numbers: `%1.%2` is the number above and its own."""

    kind: str = "decimal"
    shown: str = "%1."
    start: int = 1
    restarts_after: int | None = None
    is_legal: bool = False


class Lists:
    """Counts a document's lists. Paragraphs must be asked for in their order."""

    def __init__(self, numbering: Element | None, styles: Styles) -> None:
        self._styles = styles
        part = numbering if numbering is not None else Element("none")
        self._abstract = {one.get(f"{W}abstractNumId", ""): one for one in part.iter(f"{W}abstractNum")}
        self._lists = {one.get(f"{W}numId", ""): one for one in part.iter(f"{W}num")}
        self._levels: dict[str, list[_Level]] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._started: set[str] = set()
        self._tied: dict[tuple[str, str], int | None] = {}
        """Levels of lists that styles are tied to."""

    def number(self, paragraph: Element) -> str:
        """What stands before a paragraph, with a blank behind it, or ""."""
        own = self._styles.numbering(paragraph)
        if own is None or own.list_id not in self._lists:
            return ""
        own = self._level_of_style(own, paragraph)
        levels = self._levels_of(own.list_id)
        if own.level >= len(levels):
            return ""
        level = levels[own.level]
        if level.kind == "none" or (not level.shown and level.kind != "bullet"):
            self._count(own, levels)
            return ""
        if level.kind == "bullet":
            return f"{BULLET} "
        counts = self._count(own, levels)

        def shown(place: re.Match[str]) -> str:
            at = int(place.group(1)) - 1
            above = levels[at] if at < len(levels) else _Level()
            count = counts[at] if counts[at] is not None else above.start
            return numeral(count or 0, "decimal" if level.is_legal else above.kind)

        return f"{PLACE.sub(shown, level.shown).strip()} ".lstrip()

    def _level_of_style(self, own: Numbering, paragraph: Element) -> Numbering:
        """A style that brings a list without saying at which level is tied to one of its levels."""
        style = value(paragraph, "pPr/pStyle")
        if find(paragraph, "pPr/numPr/ilvl") is not None or style is None:
            return own
        key = (own.list_id, style)
        if key not in self._tied:
            levels = self._abstract_of(own.list_id).iter(f"{W}lvl")
            tied = (level.get(f"{W}ilvl", "0") for level in levels if value(level, "pStyle") == style)
            self._tied[key] = next((int(level) for level in tied if level.isdecimal()), None)
        level = self._tied[key]
        return own if level is None else Numbering(own.list_id, level)

    def _count(self, own: Numbering, levels: list[_Level]) -> list[int | None]:
        """Count a paragraph: its level goes on, those below begin anew."""
        key = value(self._lists[own.list_id], "abstractNumId") or own.list_id
        counts = self._counts.setdefault(key, [None] * LEVELS_MAX)
        if own.list_id not in self._started:
            self._started.add(own.list_id)
            for override in self._lists[own.list_id].iter(f"{W}lvlOverride"):
                if find(override, "startOverride") is not None:
                    counts[min(int(override.get(f"{W}ilvl", "0")), LEVELS_MAX - 1)] = None
        count = counts[own.level]
        counts[own.level] = levels[own.level].start if count is None else count + 1
        for below in range(own.level + 1, len(levels)):
            after = levels[below].restarts_after
            if after is None or (after != 0 and own.level < after):
                counts[below] = None
        return counts

    def _abstract_of(self, list_id: str) -> Element:
        abstract = self._abstract.get(value(self._lists[list_id], "abstractNumId") or "")
        link = value(abstract, "numStyleLink")
        other = self._styles.list_of(link) if link is not None else None
        if other is not None and other != list_id and other in self._lists:
            abstract = self._abstract.get(value(self._lists[other], "abstractNumId") or "")
        return abstract if abstract is not None else Element("none")

    def _levels_of(self, list_id: str) -> list[_Level]:
        if list_id not in self._levels:
            levels = {level.get(f"{W}ilvl", "0"): level for level in self._abstract_of(list_id).iter(f"{W}lvl")}
            starts: dict[str, str] = {}
            for override in self._lists[list_id].iter(f"{W}lvlOverride"):
                at = override.get(f"{W}ilvl", "0")
                if (own := override.find(f"{W}lvl")) is not None:
                    levels[at] = own
                if (start := value(override, "startOverride")) is not None:
                    starts[at] = start
            names = [str(at) for at in range(LEVELS_MAX)]
            self._levels[list_id] = [_level(levels.get(at), starts.get(at)) for at in names]
        return self._levels[list_id]


def _level(level: Element | None, start: str | None) -> _Level:
    if level is None:
        return _Level(kind="none")
    begins = start or value(level, "start") or "1"
    restart = value(level, "lvlRestart")
    return _Level(
        value(level, "numFmt") or "decimal",
        value(level, "lvlText") or "",
        int(begins) if begins.isdecimal() else 1,
        int(restart) if restart is not None and restart.isdecimal() else None,
        find(level, "isLgl") is not None,
    )
