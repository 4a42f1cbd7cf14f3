"""What a question asks for: its words and their weight, what must stand in an answer, and the kind of answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from worker.answer import word_forms
from worker.answer.quantities import (
    asks_alone,
    dimension_asked,
    dimension_of_unit,
    dimension_spent,
    has_time,
    named,
    number_words,
)
from worker.answer.question_words import ASKING, BEING, DOING, GERMAN, LIGHT, OF, PREPOSITIONS, PRONOUNS, SUBJECT

PHRASE = 1.0
"""What a run of words that say something weighs, shared by its words."""
FOCUS = 2.0
"""The first such run, and one after a preposition: what is asked, and of what."""
OWNER = 0.5
"""In a run of words, one with 's: the patient's ferritin is ferritin."""
CODE = 3.0
"""A code, which has letters and figures."""
NUMBER = 0.3
"""A number: it must stand in an answer anyhow, and says little by itself."""
MEASURE = 0.2
"""A word that asks for a quantity: the quantity itself says as much."""

_TOKEN = re.compile(r"\w(?:[\w.,:/^'\u2019-]*\w)?")
_YEAR = re.compile(r"(?:19|20)\d\d")


MAY = "May"
"""In the middle of a question it is a month."""


terms = lru_cache(maxsize=4_096)(word_forms.terms)
"""Of single words, which come again and again."""


class Kind(Enum):
    """What kind of answer is asked for."""

    ANY = ""
    NUMBER = "number"
    TIME = "time"
    PERSON = "person"
    WAY = "way"


@dataclass(frozen=True, slots=True)
class Needed:
    """A number, code or name of the question: the terms of any of its spellings must stand where the answer does."""

    spellings: tuple[frozenset[int], ...]
    is_year: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart.

    `weights`: how much each term counts. `measures`: those that ask for a quantity, of `dimensions`; `named` are what
    its `nouns` measure. `likely` is a quantity that it may ask for as well: "how much is" money. `owners`: whose it
    is, which must stand in the document. `deed`: of "who sent apologies" what "sent" says. `asking`: its words that
    only ask, and their terms; a column may be called by one of them.
    """

    weights: dict[int, float]
    needed: tuple[Needed, ...]
    kind: Kind
    dimensions: frozenset[str]
    measures: frozenset[int]
    named: frozenset[str]
    nouns: frozenset[int]
    likely: frozenset[str]
    owners: frozenset[int]
    deed: frozenset[int]
    asking: frozenset[str]
    asking_terms: frozenset[int]


def asked(question: str) -> Asked:
    """What `question` asks for."""
    tokens = [part for token in _TOKEN.findall(question) for part in _parts(token)]
    words = [token.casefold() for token in tokens]
    asking = frozenset(word for place, word in enumerate(words) if _is_asking(tokens, place))
    kind = _kind(words)
    measures = dict(_measures(words, kind))
    weights = _weights(tokens, kind, measures)
    if not weights:
        weights = dict.fromkeys(terms(question), 1.0)
    found = frozenset(term for word in measures for term in terms(word))
    dimensions = frozenset(dimension for of in measures.values() for dimension in of)
    return Asked(
        weights,
        tuple(_needed(tokens, words)),
        kind,
        dimensions,
        found & weights.keys(),
        named(question),
        frozenset(term for word in words if named(word) - {"money", "time"} for term in terms(word)),
        _likely(words),
        frozenset(term for word in words if _is_owner(word) for term in terms(word)),
        _deed(words, kind),
        frozenset(word for word in asking if ASKING[word]),
        terms(" ".join(asking)),
    )


def _parts(token: str) -> list[str]:
    """A code as it is, words joined by hyphens each alone."""
    return [token] if any(map(str.isdigit, token)) else [part for part in token.split("-") if part]


def _is_asking(tokens: list[str], place: int) -> bool:
    """Whether a word only asks."""
    return tokens[place].casefold() in ASKING and (place == 0 or tokens[place] != MAY)


def _kind(words: list[str]) -> Kind:
    for place, word in enumerate(words):
        match ASKING.get(word):
            case "way" if any(ASKING.get(after) == "number" for after in words[place + 1 : place + 2]):
                return Kind.NUMBER
            case "way" if any(dimension_asked(after) for after in words[place + 1 : place + 2]):
                return Kind.NUMBER
            case None | "":
                continue
            case "way" if words[place + 1 : place + 2] and words[place + 1] in BEING:
                return Kind.ANY
            case "what" if words[place + 1 : place + 2] == ["time"]:
                return Kind.TIME
            case "what" if DOING.intersection(words[place + 1 : place + 2]) and "do" in words[place + 2 : place + 4]:
                return Kind.WAY
            case "what":
                return Kind.ANY
            case kind:
                return Kind(kind)
    return Kind.ANY


def _measures(words: list[str], kind: Kind) -> Iterator[tuple[str, frozenset[str]]]:
    """The words that ask for a quantity, with what it measures."""
    for place, word in enumerate(words):
        found = dimension_asked(word)
        before = next((other for other in reversed(words[:place]) if other not in OF), "")
        asks = ASKING.get(before)
        if asks == "number":
            found |= dimension_of_unit(word.rstrip("'\u2019"))
        elif asks != "way" and not asks_alone(word):
            found = frozenset()
        if kind is Kind.NUMBER:
            found |= dimension_spent(word)
        if found:
            yield word, found


def _likely(words: list[str]) -> frozenset[str]:
    """Money, when it is asked how much something is."""
    return frozenset(
        "money"
        for first, second, third in zip(words, words[1:], words[2:], strict=False)
        if (first, second) == ("how", "much") and third in BEING and third != "did"
    )


def _is_owner(word: str) -> bool:
    """Whether a word says whose something is: not "what's", nor "today's"."""
    owner, _, rest = word.replace("\u2019", "'").rpartition("'")
    return rest == "s" and owner not in ASKING and not has_time(owner)


def _deed(words: list[str], kind: Kind) -> frozenset[int]:
    """Of "who sent apologies" what "sent" says."""
    if kind is not Kind.PERSON:
        return frozenset()
    place = next(place for place, word in enumerate(words) if ASKING.get(word) == "person") + 1
    deed = terms(words[place]) if words[place:] and words[place] not in ASKING else frozenset()
    return deed if any(terms(word) - deed for word in words[place + 1 :]) else frozenset()


def _weights(tokens: list[str], kind: Kind, measures: dict[str, frozenset[str]]) -> dict[int, float]:
    weights: dict[int, float] = {}
    phrases: list[tuple[float, list[tuple[frozenset[int], float]]]] = []
    goes_on, is_object, deeds = False, False, []
    for place, token in enumerate(tokens):
        word, found = token.casefold(), terms(token)
        part = OWNER if _is_owner(word) else 1.0
        if any(character.isdigit() for character in token):
            weights.update(dict.fromkeys(found, CODE if any(c.isalpha() for c in token) else NUMBER))
        elif word in measures or (dimension_spent(word) and kind is not Kind.TIME):
            weights.update(dict.fromkeys(found, MEASURE))
        elif _is_asking(tokens, place) or not found:
            is_object = is_object or word in PREPOSITIONS or word in SUBJECT
            goes_on = False
        elif word in LIGHT:
            weights.update(dict.fromkeys(found - weights.keys(), PHRASE))
            goes_on = False
        elif goes_on:
            phrases[-1][1].append((found, part))
        else:
            if kind is not Kind.WAY and place and tokens[place - 1].casefold() in PRONOUNS:
                deeds.append(len(phrases))
            phrases.append((FOCUS if is_object or not phrases else PHRASE, [(found, part)]))
            goes_on, is_object = True, False
    for place in deeds:
        if len(phrases[place][1]) == 1 and place + 1 < len(phrases):  # "may I keep a dog" is about a dog
            phrases[place : place + 2] = [(PHRASE, phrases[place][1]), (FOCUS, phrases[place + 1][1])]
    for weight, words in phrases:
        whole = sum(part for _, part in words)
        for found, part in words:
            for term in found - weights.keys():
                weights[term] = weight * part / whole
    return weights


def _needed(tokens: list[str], words: list[str]) -> Iterator[Needed]:
    has_names = not GERMAN.intersection(words) and not all(token[0].isupper() for token in tokens)
    for place, token in enumerate(tokens):
        if any(character.isdigit() for character in token):
            spellings = [terms(token), *map(terms, number_words(token))]
        elif has_names and _is_name(token, place):
            spellings = [terms(token)]
        else:
            continue
        if found := tuple(spelling for spelling in spellings if spelling):
            yield Needed(found, is_year=_YEAR.fullmatch(token) is not None)


def _is_name(token: str, place: int) -> bool:
    if len(token) > 1 and token.isupper():
        return True
    return place > 0 and token[0].isupper() and token.partition("'")[0] != "I"
