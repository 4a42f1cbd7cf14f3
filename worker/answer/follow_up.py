"""Whether a question leans on what was said before it: "and in 2024?", "how much do they cost?", "why?". Pure.

No model is asked, so that a question that stands by itself costs nothing more. Signs that need no language come
first: only numbers are said, or nearly nothing. The others are closed classes of words. A question that leans in
a way not seen here is searched for as it is; one that stands by itself and is taken for a follow-up goes to the
model, which is told to leave such a question alone.
"""

import re
import unicodedata
from collections.abc import Sequence

from worker.answer import follow_up_words as words
from worker.writing_systems import HANGUL, UNSPACED

PIECE_WORDS_MAX = 6
"""Of a question without a verb that asks: "in the mountains in winter?" is a piece of the one before."""
WORDS_MAX = 60
"""Of a question whose pronouns are looked at: a longer one names what they stand for."""
NAMED_WORDS_MAX = 3
"""Of a question that only names something: "premium economy?"."""
UNSPACED_TOPIC_MAX = 14
"""Characters before an ending that asks "and what of it?"."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_UNSPACED = re.compile(f"[{UNSPACED}{HANGUL}]")
_CLAUSE_END = re.compile(r"[,;:]")


def leans_on_past(question: str) -> bool:
    """Whether `question` may need what was said before it, in order to be understood."""
    text = unicodedata.normalize("NFKC", question).strip().strip("¿¡\"'«»“”„ ").replace("\u2019", "'")
    if _UNSPACED.search(text):
        return _leans_unspaced(text)
    said = _WORD.findall(text)
    lower = [word.casefold() for word in said]
    if not any(not word.isdigit() and word not in words.GOING_ON | words.PREPOSITIONS for word in lower):
        return bool(said)
    if _goes_on(text.casefold(), lower):
        return True
    return len(lower) <= WORDS_MAX and (_points(text, said, lower) or _is_piece(text, said, lower))


def _goes_on(text: str, lower: Sequence[str]) -> bool:
    """It begins where another has ended."""
    if lower[0] in words.GOING_ON or (text[0] == "و" and lower[0][1:] in words.ASKS | words.PREPOSITIONS):
        return True
    return any(re.search(rf"(?:^|(?<=[\s,])){re.escape(phrase)}\b", text) for phrase in words.GOING_ON_PHRASES)


def _points(text: str, said: Sequence[str], lower: Sequence[str]) -> bool:
    """A word stands for a thing that the question does not name."""
    return any(_points_back(text, said, lower, at) for at in range(len(lower)))


def _points_back(text: str, said: Sequence[str], lower: Sequence[str], at: int) -> bool:
    word, before, after = lower[at], lower[:at], lower[at + 1 :]
    if word in words.OWNING:
        return len(_content(said[:at], lower[:at])) < 2
    if word == "it" or (word == "es" and not words.GERMAN.isdisjoint(lower)):
        return not _is_expletive(text, word, before, after) and not _has_clause(text, said, lower, at)
    if word == "that":
        return (not after or not before or before[-1] in words.BEFORE_THAT) and not _has_clause(text, said, lower, at)
    if word == "das":
        return (
            not after
            or after[0] in words.AFTER_DAS
            or bool(before and not said[at + 1 :][0][:1].isupper() and len(after) < 3)
        )
    if word == "this":
        return not after or after[0] not in words.DEICTIC
    if word == "one" or word == "ones":
        return bool(before) and before[-1] in ("other", "first", "second", "last", "which", "that", "this", "next")
    if word in ("same", "previous") and before[-1:] == ["the"]:
        return not set(after) & {"as"}
    if word.endswith(("-il", "-elle", "-ils", "-elles")):
        return not words.IMPERSONAL.search(text.casefold()) and len(_content(said[:at], lower[:at])) < 1
    if word == "sie" and said[at] == "sie":
        return not _has_clause(text, said, lower, at)
    if word not in words.POINTING or (after and after[0] in words.DEICTIC):
        return False
    return not words.IMPERSONAL.search(text.casefold()) and not _has_clause(text, said, lower, at)


def _is_expletive(text: str, word: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether "it" or "es" stands for nothing: it is possible to, es gibt, what time is it."""
    if word == "es" and {"gibt", "gab", "geht"} & {*before[-1:], *after[:1]}:
        return True
    if list(before[-2:]) == ["time", "is"]:
        return True
    is_introduced = bool(words.INTRODUCING & set(after[1:])) or (word == "es" and "," in text)
    return is_introduced and bool(words.EXPLETIVE & {*before[-1:], *after[:2]})


def _has_clause(text: str, said: Sequence[str], lower: Sequence[str], at: int) -> bool:
    """Whether another clause stands before the word, and names something that the word may stand for."""
    position = _start(text, said, at)
    named = _content(said[:at], lower[:at])
    is_joined = any(word in words.JOINING for word in lower[1:at]) or (
        bool(lower) and lower[0] in words.JOINING and at > 2
    )
    return bool(named) and (bool(_CLAUSE_END.search(text[:position])) or is_joined)


def _start(text: str, said: Sequence[str], at: int) -> int:
    position = 0
    for word in said[: at + 1]:
        position = text.index(word, position) + len(word)
    return position - len(said[at])


def _is_piece(text: str, said: Sequence[str], lower: Sequence[str]) -> bool:
    """Too little is said to be a question by itself."""
    asks = any(word in words.ASKS and word not in words.PREPOSITIONS for word in lower)
    if lower[0] in words.PREPOSITIONS and not asks and len(lower) <= PIECE_WORDS_MAX:
        return True
    content = _content(said, lower)
    if text.endswith("?") and not asks and len(lower) == len(content) <= NAMED_WORDS_MAX:
        return True
    if len(content) > 1:
        return False
    if content and (_is_name(content[0], said) or text.casefold().startswith(words.DEFINING)):
        return False
    return asks or not content or any(word.isdigit() for word in lower)


def _content(said: Sequence[str], lower: Sequence[str]) -> list[str]:
    """The words that tell what is asked about."""
    return [word for word, low in zip(said, lower, strict=True) if low not in words.EMPTY and not low.isdigit()]


def _is_name(word: str, said: Sequence[str]) -> bool:
    """Whether it is written as names are: VAT, C-130, or Bergen in mid-sentence."""
    return word.isupper() or any(letter.isdigit() for letter in word) or (word[0].isupper() and word != said[0])


def _leans_unspaced(text: str) -> bool:
    """The same for scripts without spaces, and for Korean."""
    plain = words.UNSPACED_LEFT_OUT.sub("", text)
    pointing = plain
    for phrase in words.UNSPACED_NOT_POINTING:
        pointing = pointing.replace(phrase, "")
    if any(word in pointing for word in words.UNSPACED_POINTING):
        return True
    if plain in words.UNSPACED_ASKING or not any(letter.isalpha() for letter in words.UNSPACED_YEAR.sub("", plain)):
        return True
    is_short = len(plain) <= UNSPACED_TOPIC_MAX
    return (
        is_short and plain.endswith(words.UNSPACED_ENDINGS) and not any(ask in plain for ask in words.UNSPACED_ASKING)
    )
