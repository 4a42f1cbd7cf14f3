"""Numbers as terms of their own: 1,234 is one term, and so are 3.5 and 10^6; a unit stands apart from its number.

BM25's tokenizer splits at every mark, so that 1,234 would be a 1 and a 234, which stand on every page of figures.
A date, a version and an address, of three parts and more, are left to it: 2025 is to be found in 25.11.2025.
"""

import re

GROUPED = re.compile(
    r"[,.'\u2019\u00a0\u202f](?<=[0-9].)(?=[0-9])(?:(?=[0-9]{3}(?![0-9]))(?<!\.)|(?=[0-9]{3},[0-9])(?<=\.))"
)
"""What sets thousands apart: 1,234, 1'234, 1 234 with a blank that does not break, and 1.234,50."""
DECIMAL = re.compile(r"[.,](?<=[0-9].)(?<![.,][0-9].)(?<![.,][0-9]{2}.)(?<![.,][0-9]{3}.)(?=[0-9]+(?![.,]?[0-9]))")
EXPONENT = re.compile(r"\^(?<=[0-9].)([-\u2212]?)(?=[0-9])")
UNIT = re.compile(
    r"[0-9](?=[A-Za-z\u00b5\u03bc])"
    r"(?=(?:[kKMGTcmn\u00b5\u03bc]?(?:Wh|W|V|A|g|m|B|l|L|s|Hz|Pa|J|N)|bit|min|h|bar)\b)"
)
"""A number's last digit before a unit that is grown together with it."""


def numbers_whole(text: str) -> str:
    """`text` with its numbers as the tokenizer takes them for one word: 1,234.5 kW as 1234d5 kW, 10^6 as 10e6."""
    text = DECIMAL.sub("d", GROUPED.sub("", text))
    if "^" in text:
        text = EXPONENT.sub(_exponent, text)
    return UNIT.sub(r"\g<0> ", text)


def _exponent(mark: re.Match[str]) -> str:
    return "em" if mark[1] else "e"
