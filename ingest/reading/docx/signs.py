"""Signs of fonts that have no letters: Symbol's Greek and mathematics, the boxes and arrows of Wingdings."""

SYMBOL = {
    **dict(zip("abcdefghijklmnopqrstuvwxyz", "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True)),
    **dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", strict=True)),
    **dict(zip("\xa3\xa5\xb0\xb1\xb3\xb4\xb6\xb7\xb8\xb9\xba\xbb", "≤∞°±≥\u00d7∂•÷≠≡≈", strict=True)),
    **dict(zip("\xab\xac\xad\xae\xaf\xbc\xc5\xce\xd6\xe5\xf2\xd1", "↔←↑→↓…⊕∈√∑∫∇", strict=True)),
}
WINGDINGS = dict(zip("\xfc\xfb\xfe\xfd\xa8\x6f\x78\xa7\x6c\x6e\xe0\xdf\xe8", "✓✗☑☒☐☐☒▪●■→←→", strict=True))
FONTS = {"symbol": SYMBOL, "wingdings": WINGDINGS}
PRIVATE = 0xF000
"""Where Word keeps the codes of such fonts."""


def sign(font: str, code: str) -> str:
    """The character for a code, in hexadecimal, of a font; "" for one that means nothing elsewhere."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    if PRIVATE <= number <= PRIVATE + 0xFF:
        character = chr(number - PRIVATE)
        own = FONTS.get(font.lower())
        return own.get(character, character if character.isascii() and own is SYMBOL else "") if own else ""
    return chr(number) if 0x20 <= number < 0xD800 or 0xF900 <= number < 0x110000 else ""
