"""The terms of a text, irregular forms of English words as their word: kept as keep, geese as goose. Closed lists."""

from worker import vectors

_VERBS = """
    arise arose arisen|awake awoke awoken|bear borne|beat beaten|become became|begin began begun|bend bent|bind bound|
    bite bit bitten|bleed bled|blow blew blown|break broke broken|breed bred|bring brought|build built|burn burnt|
    buy bought|catch caught|choose chose chosen|cling clung|come came|creep crept|deal dealt|dig dug|draw drew drawn|
    drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|find found|
    flee fled|fly flew flown|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven|
    freeze froze frozen|get got gotten|give gave given|go went gone|grow grew grown|hang hung|hear heard|
    hide hid hidden|hold held|keep kept|know knew known|lay laid|lead led|lean leant|leap leapt|learn learnt|
    leave left|lend lent|light lit|lose lost|make made|mean meant|meet met|pay paid|ride rode ridden|ring rang rung|
    rise risen|run ran|say said|see seen|seek sought|sell sold|send sent|shake shook shaken|shine shone|
    shoot shot|show shown|shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|
    smell smelt|sow sown|speak spoke spoken|spend spent|spill spilt|spin spun|spoil spoilt|spring sprang sprung|
    stand stood|steal stole stolen|stick stuck|sting stung|strike struck|strive strove striven|swear swore sworn|
    sweep swept|swim swam swum|swing swung|take took taken|teach taught|tear tore torn|tell told|
    think thought|throw threw thrown|understand understood|wake woke woken|wear wore worn|weave wove woven|
    weep wept|win won|withdraw withdrew withdrawn|write wrote written
"""
"""Without those whose form is more often another word: ground, wound, saw, rose, bore, lay for lie."""
_PLURALS = """
    man men|woman women|child children|foot feet|tooth teeth|goose geese|mouse mice|louse lice|ox oxen|person people|
    knife knives|wife wives|life lives|shelf shelves|loaf loaves|half halves|calf calves|wolf wolves|thief thieves|
    scarf scarves|medium media|datum data|criterion criteria|analysis analyses|crisis crises
"""


def _forms() -> dict[int, int]:
    same: dict[int, int] = {}
    for group in "|".join((_VERBS, _PLURALS)).split("|"):
        first, *others = (vectors.terms(word) for word in group.split())
        same |= {term: of for term in frozenset[int]().union(*others) - first for of in first}
    return same


_SAME = _forms()


def terms(text: str) -> frozenset[int]:
    """The distinct terms of `text` as BM25 sees them, irregular forms as their word."""
    found = vectors.terms(text)
    return found if _SAME.keys().isdisjoint(found) else frozenset(_SAME.get(term, term) for term in found)
