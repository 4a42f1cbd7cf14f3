"""What is filled in in a form of HTML: the text of a field, the option that is chosen, a box that is ticked."""

from bs4 import Tag

WITH_TEXT = frozenset(
    ("", "text", "email", "number", "date", "tel", "url", "search", "time", "month", "week", "datetime-local")
)
BUTTONS = frozenset(("submit", "button", "reset"))
TICKS = {"checkbox": ("\u2611", "\u2610"), "radio": ("\u25c9", "\u25cb")}
"""For a box that is ticked, and for one that is not."""
TICKS_SHOWN = tuple(sign for signs in TICKS.values() for sign in signs)


def value_of(tag: Tag) -> str:
    """What a field shows, "" for nothing. Hints, passwords and the options that are not chosen are no values."""
    if tag.name == "textarea":
        return tag.get_text().strip()
    return _chosen(tag) if tag.name == "select" else _of_input(tag)


def is_tick(tag: Tag) -> bool:
    """Whether a field is a box to tick, whose label follows."""
    return tag.name == "input" and _text(tag, "type").lower() in TICKS


def is_button(tag: Tag) -> bool:
    """Whether a field has its label in it."""
    return tag.name == "input" and _text(tag, "type").lower() in BUTTONS


def label_of(root: Tag, tag: Tag) -> str:
    """The words that name a field from elsewhere in the page, "" when there are none."""
    name = _text(tag, "id")
    label = root.find("label", attrs={"for": name}) if name else None
    words = label.get_text() if isinstance(label, Tag) else _text(tag, "aria-label")
    return " ".join(words.split()).rstrip(" :*")


def _of_input(tag: Tag) -> str:
    kind = _text(tag, "type").lower()
    if kind in TICKS:
        return TICKS[kind][0 if "checked" in tag.attrs else 1]
    return _text(tag, "value").strip() if kind in WITH_TEXT | BUTTONS else ""


def _chosen(tag: Tag) -> str:
    options = [option for option in tag.find_all("option") if "hidden" not in option.attrs]
    chosen = [option for option in options if "selected" in option.attrs]
    if "multiple" not in tag.attrs:
        chosen = chosen[-1:] or options[:1]
    return ", ".join(" ".join(option.get_text().split()) for option in chosen)


def _text(tag: Tag, name: str) -> str:
    value = tag.attrs.get(name, "")
    return value if isinstance(value, str) else ""
