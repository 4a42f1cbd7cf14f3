"""The numbers of lists, as they are shown: 3, iii, III, c, C, 03, 3rd."""

ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
ROMAN_MAX = 3999
LETTERS_MAX = 780
"""Word repeats a letter, up to 30 times; a list is not longer than that."""


def numeral(number: int, kind: str) -> str:
    """`number` by a kind's name, Word's (`lowerRoman`) or HTML's (`i`); unknown kinds are decimal."""
    if kind in ("lowerRoman", "i"):
        return _roman(number)
    if kind in ("upperRoman", "I"):
        return _roman(number).upper()
    if kind in ("lowerLetter", "a"):
        return _letters(number, repeats=kind != "a")
    if kind in ("upperLetter", "A"):
        return _letters(number, repeats=kind != "A").upper()
    if kind == "decimalZero":
        return f"{number:02d}"
    return f"{number}{_ending(number)}" if kind == "ordinal" else str(number)


def _roman(number: int) -> str:
    if not 0 < number <= ROMAN_MAX:
        return str(number)
    digits = []
    for value, sign in ROMAN:
        times, number = divmod(number, value)
        digits.append(sign * times)
    return "".join(digits)


def _letters(number: int, *, repeats: bool) -> str:
    """27 is `aa` either way, 28 is `bb` where letters repeat, and `ab` where they count."""
    if not 0 < number <= LETTERS_MAX:
        return str(number)
    if repeats:
        return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    found = ""
    while number:
        number, place = divmod(number - 1, 26)
        found = chr(ord("a") + place) + found
    return found


def _ending(number: int) -> str:
    return "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
