"""Numbers and dates as a sheet shows them, by their cell's format code (ECMA-376, part 1, 18.8.31)."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from functools import lru_cache

Number = int | float
ToDate = Callable[[float], datetime]
"""From a serial number to its day, as the workbook counts."""

TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]|(?P<general>General)|(?P<half>AM/PM|A/P)"
    r"|(?P<exponent>E[+-]0+)|(?P<digits>[0#?]+(?:[,.][0#?]+)*\.?,*|\.[0#?]+)|(?P<date>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
CONDITIONS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<>": lambda value, bound: value != bound,
    "<": lambda value, bound: value < bound,
    ">": lambda value, bound: value > bound,
    "=": lambda value, bound: value == bound,
}
SECTION = re.compile(r'((?:"[^"]*"?|\\.|\[[^\]]*\]|[^;"\\\[])*)(;|$)', re.DOTALL)
FRACTION = re.compile(r"(#+ |0+ )?[?#0]+/(?P<below>[?#0]+|\d+)")
CODE_CHARACTERS_MAX = 1_000
DIGITS_MAX = 400
"""Of a number: the largest that there is has 309."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Token = tuple[str, str]


def shown_number(value: Number, code: str, to_date: ToDate) -> str:
    """The characters that are shown for `value` by the format `code`; "" when that hides it."""
    if code == "General":
        return general(value)
    sections = _sections(code[:CODE_CHARACTERS_MAX])
    section, value = _chosen(sections, value)
    tokens = _tokens(section)
    kinds = {kind for kind, _ in tokens}
    try:
        if "date" in kinds or "elapsed" in kinds:
            return _date(tokens, value, to_date)
        return _number(section, tokens, value)
    except (ValueError, OverflowError, InvalidOperation):
        return general(value)


def shown_text(words: str, code: str) -> str:
    """The same for words: the fourth of a code's sections is theirs."""
    sections = _sections(code[:CODE_CHARACTERS_MAX])
    return words if len(sections) < 4 or "@" in sections[3] else ""


def general(value: Number) -> str:
    """A number without a format: as many digits as a cell has room for."""
    if isinstance(value, int) or value.is_integer():
        return str(int(value)) if abs(value) < 1e15 else f"{value:.5E}"
    return f"{value:.10g}".replace("e", "E")


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[str, ...]:
    found = [match.group(1) for match in SECTION.finditer(code)]
    return tuple(found[:-1] if len(found) > 1 and not found[-1] and not code.endswith(";") else found) or ("",)


@lru_cache(maxsize=1024)
def _tokens(section: str) -> tuple[Token, ...]:
    return tuple(_read(section))


def _read(section: str) -> Iterator[Token]:
    for match in TOKEN.finditer(section):
        kind = match.lastgroup
        if kind in ("quoted", "escaped", "currency", "other"):
            yield "literal", match.group(kind)
        elif kind is not None:
            yield kind, match.group(kind)
        elif match.group().startswith("_"):
            yield "literal", " "


def _chosen(sections: tuple[str, ...], value: Number) -> tuple[str, Number]:
    """The section for `value`, and what it is to show: a section for negative numbers shows them without a sign."""
    conditions = [CONDITION.search(section) for section in sections[:2]]
    if any(conditions):
        for section, condition in zip(sections, conditions, strict=False):
            if condition is None or CONDITIONS[condition.group(1)](value, float(condition.group(2))):
                return section, value
        return sections[min(2, len(sections) - 1)], value
    if value < 0 and len(sections) > 1:
        return sections[1], -value
    return sections[2 if value == 0 and len(sections) > 2 else 0], value


def _number(section: str, tokens: tuple[Token, ...], value: Number) -> str:
    if any(kind == "general" for kind, _ in tokens) or not section.strip():
        words = general(value) if section.strip() else ""
        return "".join(words if kind == "general" else text for kind, text in tokens)
    if (fraction := FRACTION.search(section)) is not None:
        return _fraction(fraction, value)
    if per_cents := sum(text.count("%") for kind, text in tokens if kind == "literal"):
        value = float(Decimal(repr(value)).scaleb(2 * per_cents))
    patterns = [text for kind, text in tokens if kind == "digits"]
    if not patterns:
        return _joined(tokens, []).replace("@", general(value))
    exponent = next((text for kind, text in tokens if kind == "exponent"), None)
    if exponent is not None:
        decimals = len(patterns[0].partition(".")[2])
        return f"{value:.{decimals}E}"
    sign = "-" if value < 0 else ""
    filled = _filled(patterns, abs(value))
    is_zero = not any(digit in "123456789" for part in filled for digit in part)
    return ("" if is_zero else sign) + _joined(tokens, filled)


def _joined(tokens: tuple[Token, ...], digits: list[str]) -> str:
    left = iter(digits)
    return "".join(next(left, "") if kind == "digits" else text for kind, text in tokens).strip()


def _filled(patterns: list[str], value: Number) -> list[str]:
    """Each pattern of digits, filled: of several, as in 000-0000, from the right."""
    if len(patterns) == 1:
        return [_one(patterns[0], value)]
    wanted = [sum(sign in "0#?" for sign in pattern) for pattern in patterns]
    digits = f"{int(Decimal(repr(value)).quantize(Decimal(1), ROUND_HALF_UP))}".rjust(sum(wanted), "0")
    parts: list[str] = []
    for count in reversed(wanted[1:]):
        parts.insert(0, digits[len(digits) - count :])
        digits = digits[: len(digits) - count]
    return [digits, *parts]


def _one(pattern: str, value: Number) -> str:
    body = pattern.rstrip(",")
    whole, _, below = body.partition(".")
    with localcontext() as context:
        context.prec = DIGITS_MAX
        exact = Decimal(repr(value)) / 1000 ** (len(pattern) - len(body))
        rounded = exact.quantize(Decimal(1).scaleb(-len(below)), ROUND_HALF_UP)
    digits, _, decimals = f"{rounded:f}".partition(".")
    decimals = decimals[: below.count("0")] + decimals[below.count("0") :].rstrip("0")
    digits = digits.lstrip("0").rjust(whole.replace(",", "").replace("#", "").replace("?", "").count("0"), "0")
    if "," in whole:
        digits = _grouped(digits)
    return digits + ("." + decimals if decimals or (below and below.count("0")) else "")


def _grouped(digits: str) -> str:
    first = len(digits) % 3
    parts = [digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]
    return ",".join(filter(None, parts))


def _fraction(pattern: re.Match[str], value: Number) -> str:
    below = pattern.group("below")
    largest = int(below) if below.isdigit() and int(below) else 10 ** min(len(below), 3) - 1
    found = Fraction(abs(value)).limit_denominator(largest)
    whole, rest = divmod(found.numerator, found.denominator) if pattern.group(1) else (0, found.numerator)
    parts = [str(whole) if whole or not rest else "", f"{rest}/{found.denominator}" if rest else ""]
    return ("-" if value < 0 else "") + " ".join(filter(None, parts))


def _date(tokens: tuple[Token, ...], value: Number, to_date: ToDate) -> str:
    day = to_date(float(value))
    elapsed = timedelta(days=float(value))
    has_half = any(kind == "half" for kind, _ in tokens)
    kinds = [text[0].lower() for kind, text in tokens if kind in ("date", "elapsed")]
    parts: list[str] = []
    at = 0
    for kind, text in tokens:
        if kind == "elapsed":
            parts.append(_elapsed(text, elapsed))
        elif kind == "date":
            is_minute = (
                text[0] in "mM"
                and len(text) < 3
                and ("h" in kinds[max(0, at - 1) : at] or "s" in kinds[at + 1 : at + 2])
            )
            parts.append(_minute(text, day) if is_minute else _part(text.lower(), day, has_half=has_half))
        elif kind == "half":
            parts.append("AM" if day.hour < 12 else "PM")
        elif kind == "digits":
            parts.append(f"{day.microsecond / 1e6:.{len(text.strip('.'))}f}"[1:] if text.startswith(".") else text)
        else:
            parts.append(text)
        at += kind in ("date", "elapsed")
    return "".join(parts).replace("@", "").strip()


def _part(text: str, day: datetime, *, has_half: bool) -> str:
    hour = (day.hour % 12 or 12) if has_half else day.hour
    name = DAYS[day.weekday()] if text[0] == "d" else MONTHS[day.month - 1]
    if text[0] in "dm" and len(text) >= 3:
        return {3: name[:3], 5: name[0]}.get(len(text), name)
    if text[0] == "y":
        return f"{day.year:04}" if len(text) > 2 else f"{day.year % 100:02}"
    number = {"d": day.day, "m": day.month, "h": hour, "s": day.second}[text[0]]
    return f"{number:02}" if len(text) > 1 else str(number)


def _minute(text: str, day: datetime) -> str:
    return f"{day.minute:02}" if len(text) > 1 else str(day.minute)


def _elapsed(text: str, elapsed: timedelta) -> str:
    seconds = round(elapsed.total_seconds())
    count = seconds // {"h": 3600, "m": 60, "s": 1}[text[0].lower()]
    return str(count).rjust(len(text), "0")
