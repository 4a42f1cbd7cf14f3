"""Bare addresses in running text: `https://…`, `www.…`, `host.tld/path`, `javascript:…`, wherever they hide."""

import re
import unicodedata
from html import unescape

OMITTED = "…"
"""What stands where an address stood: a sign of omission that every language knows."""
WINDOW = 1024
"""Characters without a space that are looked at together, and held back while more may come."""
STEP = 256
"""Where an address may begin within a window of a longer run: farther than any of its forms is long."""

_ASCII = "!#%&+,-./:;=?@^_~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WIDE = "".join(chr(ord(c) + 0xFEE0) for c in _ASCII)
RUN_CHARACTERS = _ASCII + _WIDE
_PUNCTUATION = ".,;:!?"

_ANY = re.escape(RUN_CHARACTERS)
_PLAIN = re.escape("".join(set(_ASCII) - set("/:&")))
_SIGN = re.compile(r"[/:&\uff01-\uff5e]")
_SUSPECT = re.compile(rf"(?<![{_ANY}])(?:[{_PLAIN}]*+[/:&\uff01-\uff5e]|[{_PLAIN}]*?[wW]{{3}}\.)[{_ANY}]*+")
"""A run that may hold an address: every address has one of the signs or begins with www."""
_DISGUISED = re.compile(r"[&\uff01-\uff5e]")
_CONTACT = re.compile(r"(?:mailto|tel|sms|xmpp):(?=.)", re.IGNORECASE)
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.\-]{0,30}+://"
    r"|//[a-z0-9-]{1,63}+\.[a-z0-9]"
    r"|www\.(?=.)"
    r"|(?:javascript|vbscript|blob|view-source):(?=.)|data:(?=[a-z]+/|[;,])"
    r"|(?:mailto|tel|sms|xmpp):(?=.)"
    r"|[a-z0-9.-]{1,64}?\.[a-z]{2,24}(?::\d{1,5})?(?:/(?=.)|\?[^?/]{0,64}=)",
    re.IGNORECASE,
)


class AddressFilter:
    """Takes the addresses out of a text that comes in pieces; each gives what can be shown by now.

    Holds back the last run of characters that an address may be made of, until it is known to be over.
    """

    def __init__(self) -> None:
        self._held = ""
        self._tail: str | None = None
        """Within an address that is being dropped: the punctuation that it ends with so far."""

    def feed(self, text: str) -> str:
        """What of the text so far can be shown."""
        shown = ""
        if self._tail is not None:
            shown, text = self._drop(text)
        text = self._held + text
        cut = len(text.rstrip(RUN_CHARACTERS))
        self._held = text[cut:]
        shown += without_addresses(text[:cut])
        return shown + self._advance() if len(self._held) > WINDOW else shown

    @property
    def held(self) -> str:
        """What is held back, as it would be shown if no more of it came."""
        return (self._tail or "") + without_addresses(self._held)

    def flush(self) -> str:
        """What was held back: no more of it comes."""
        shown = self.held
        self._held, self._tail = "", None
        return shown

    def _drop(self, text: str) -> tuple[str, str]:
        """The text without the rest of an address: what to show of that, and what comes after."""
        rest = text.lstrip(RUN_CHARACTERS)
        self._tail = _punctuation_at_end((self._tail or "") + text[: len(text) - len(rest)])
        if not rest:
            return "", ""
        shown, self._tail = self._tail, None
        return shown, rest

    def _advance(self) -> str:
        run, position = self._held, 0
        shown: list[str] = []
        while len(run) - position > WINDOW:
            start = _address_start(run[position : position + WINDOW])
            if start is not None and start < STEP:
                self._held, self._tail = "", _punctuation_at_end(run)
                return "".join([*shown, run[position : position + start], OMITTED])
            shown.append(run[position : position + STEP])
            position += STEP
        self._held = run[position:]
        return "".join(shown)


def without_addresses(text: str) -> str:
    """`text` with `OMITTED` where addresses stand; those of mail and telephone stay, without their scheme."""
    return _SUSPECT.sub(_reduced, text) if _SIGN.search(text) or "www." in text.lower() else text


def _reduced(found: re.Match[str]) -> str:
    run, position = found.group(), 0
    while len(run) - position > WINDOW:
        start = _address_start(run[position : position + WINDOW])
        if start is not None and start < STEP:
            return run[: position + start] + OMITTED + _punctuation_at_end(run)
        position += STEP
    rest = _CONTACT.sub("", run[position:])
    start = _address_start(rest)
    return run[:position] + (rest if start is None else rest[:start] + OMITTED + _punctuation_at_end(rest))


def _address_start(run: str) -> int | None:
    """Where the first address in `run` begins; 0 when it hides behind HTML entities or wide letters."""
    if not _SIGN.search(run) and "www." not in run.lower():
        return None
    if _DISGUISED.search(run) and _ADDRESS.search(unicodedata.normalize("NFKC", unescape(run))):
        return 0
    found = _ADDRESS.search(run)
    return found.start() if found else None


def _punctuation_at_end(run: str) -> str:
    return run[len(run.rstrip(_PUNCTUATION)) :]
