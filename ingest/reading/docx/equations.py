"""An equation of Word as a line of text: x^2, (a + b)/c, √(x)."""

from xml.etree.ElementTree import Element

from ingest.reading.docx.names import MATH
from ingest.reading.raised import lowered, raised

DEEP_MAX = 40
"""Parts of an equation within one another; deeper ones are left out."""


def as_text(element: Element, depth: int = 0) -> str:
    """The words of an equation, or of a part of one."""
    if depth > DEEP_MAX:
        return ""
    kind = element.tag.removeprefix(MATH)
    if kind == "t":
        return element.text or ""
    parts = {child.tag.removeprefix(MATH): as_text(child, depth + 1) for child in element}
    base = parts.get("e", "")
    if kind in ("sSup", "sSub", "sSubSup"):
        low, high = parts.get("sub", ""), parts.get("sup", "")
        base += lowered(low) if low else ""
        return base + (
            raised(base, high) if len(high) == 1 or high.isdecimal() else f"^{_grouped(high)}" if high else ""
        )
    if kind == "f":
        return f"{_grouped(parts.get('num', ''))}/{_grouped(parts.get('den', ''))}"
    if kind == "rad":
        return f"{parts.get('deg', '')}\u221a({base})"
    if kind == "d":
        return f"({', '.join(as_text(child, depth + 1) for child in element if child.tag == MATH + 'e')})"
    return "".join(as_text(child, depth + 1) for child in element)


def _grouped(words: str) -> str:
    return words if words.isalnum() else f"({words})"
