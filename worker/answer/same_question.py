"""Whether two questions ask the same: a question in the one form that its rewordings share. Pure.

No cosine tells a question from its opposite (0.83 to 0.9997 over nine encoders), so a kept answer is given to
another wording only when the words agree. All that is not known to say nothing counts, in its order: words,
numbers, units, negations, marks. What is known to say nothing are closed classes of English words; of a question
in another language only white space, its first letter's case and its last mark are let go. When in doubt, two
questions differ: then the model is asked, and nothing is lost but its time.
"""

import re
import unicodedata

from worker.answer import same_question_words as words

_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|\S")
"""A number with its points, a word with its apostrophes, or one other mark: none is let go unseen."""
_QUOTES = str.maketrans("\u2018\u2019\u02bc\u201c\u201d\u201e", "'''\"\"\"")
_END = re.compile(r"\s*[?.\u2026\u3002\uff1f\u061f]$")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
"""Thousands set apart as English does it: elsewhere, 1,234 is a little more than one."""
_GREETING = re.compile(r"^(?:hi|hello|hey|please|ok|okay)(?:\s+there)?\s*[,!:.]\s*", re.IGNORECASE)
_REQUEST = re.compile(
    r"^(?:please,?\s+)?(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?(?:tell|explain\s+to|show)\s+me"
    r"|(?:can|could|would|will)\s+you\s+(?:please\s+)?explain|(?:tell|show)\s+me"
    r"|i(?:'d|\s+would)\s+like\s+to\s+know|i\s+(?:want|need)\s+to\s+know|do\s+you\s+know)[,:]?\s+(?:please,?\s+)?"
    r"(?=(?:what|who|when|where|why|how|which)\b)",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\s*,\s*(?:please|thanks|thank\s+you)\s*$", re.IGNORECASE)


def canonical(question: str) -> str | None:
    """The form that `question` shares with its rewordings alone; None when it has no word."""
    text = " ".join(unicodedata.normalize("NFC", question).translate(_QUOTES).split())
    text = _END.sub("", text.removeprefix("\u00bf"))
    tokens = _TOKEN.findall(text)
    if not any(token[0].isalpha() for token in tokens):
        return None
    if not _is_english(text, tokens):
        return " ".join([_beginning(tokens[0]), *tokens[1:]])
    return " ".join(["en", *_english(text)])


def _is_english(text: str, tokens: list[str]) -> bool:
    """Whether it is English beyond doubt: its endings, capitals and small words mean something else elsewhere."""
    said = {token.lower().partition("'")[0] for token in tokens}
    if any(letter.isalpha() and not letter.isascii() for letter in text) or not said.isdisjoint(words.FOREIGN):
        return False
    begins = tokens[0].lower() in words.BEGINNING and "the" in said
    return begins or not said.isdisjoint(words.ENGLISH)


def _beginning(word: str) -> str:
    """The first word of a question in any language, whose capital says nothing; but Sie is not sie, nor US us."""
    return word if word in words.POLITE or (word.isupper() and len(word) > 1) else word[0].lower() + word[1:]


def _english(text: str) -> list[str]:
    said = _TOKEN.findall(_REQUEST.sub("", _GREETING.sub("", _THANKS.sub("", text))))
    spoken = [part for at, word in enumerate(said) for part in _whole(said, word, at)]
    spoken = _in_order(spoken)
    kept: list[str] = []
    for at in range(len(spoken)):
        word, after = _form(spoken, at), spoken[at + 1 : at + 2]
        is_filling = word in words.FILLING or (word in words.FILLING_BEHIND_ASKING and len(kept) == 1)
        if not (after and is_filling) and not (word == "the" and _says_nothing(kept, after)):
            kept.append(word)
    return [_asking(kept, at) for at in range(len(kept))]


def _whole(said: list[str], word: str, at: int) -> list[str]:
    """The words that are drawn together in one: what's, can't, you're."""
    low = word.lower()
    if low in words.CONTRACTED:
        return list(words.CONTRACTED[low])
    stem, mark, ending = low.rpartition("'")
    if mark and ending == "s":
        is_verb = stem in words.BEFORE_IS and said[at + 1 : at + 2] and said[at + 1].lower() in words.AFTER_IS
        return [stem, "is"] if is_verb else [word]
    if mark and ending == "t" and stem.endswith("n") and stem[:-1] in words.BEFORE_NOT:
        return [stem[:-1], "not"]
    return [stem, words.ENDINGS[ending]] if mark and ending in words.ENDINGS else [word]


def _form(said: list[str], at: int) -> str:
    """The form of a word that stands for its others: in small letters but for names, and without an s if known."""
    word = said[at]
    if at > 1 and said[at - 1] in words.RELATIVE:  # the owner of the cars that is, or that are, damaged
        return word
    if _GROUPED.fullmatch(word):
        return word.replace(",", "")
    if not word.isalpha():
        return word if at else word.lower()
    is_name = word != "I" and ((word.isupper() and len(word) > 1) or (at > 0 and word[0].isupper()))
    low = word.lower()
    if is_name:  # no endings of names: Williams is not William
        return word if word.isupper() or low in words.NAMES else low
    return words.SAME.get(low) or _singular(low)


def _singular(word: str) -> str:
    if word.endswith("ies") and word[:-3] + "y" in words.FORMS:
        return word[:-3] + "y"
    if word.endswith(words.HISSING) and word[:-2] in words.FORMS:
        return word[:-2]
    return word[:-1] if word.endswith("s") and word[:-1] in words.FORMS else word


def _in_order(said: list[str]) -> list[str]:
    """What the fee is, behind "tell me", as what is the fee."""
    low = [word.lower() for word in said]
    is_turned = len(said) > 2 and low[0] in words.TURNED and sum(word in words.IS for word in low) == 1
    return [said[0], "is", *said[1:-1]] if is_turned and low[-1] in words.IS else said


def _says_nothing(before: list[str], after: list[str]) -> bool:
    """Whether "the" between them says nothing: on the board is not on board, nor is the last year last year."""
    is_auxiliary = before[:1] != ["who"] and len(before) < 3
    is_kind = before[-1:] == [] or before[-1] not in words.BEFORE_ARTICLE or (before[-1] in words.DO and is_auxiliary)
    return is_kind and bool(after) and after[0].islower() and after[0] not in words.AFTER_ARTICLE


def _asking(said: list[str], at: int) -> str:
    """Which, before a thing that has a plural, as what."""
    return "what" if said[at] == "which" and {*said[at + 1 : at + 2]} & words.FORMS else said[at]
