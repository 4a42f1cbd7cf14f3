"""Quantities in a text and what they measure: figures with units, money, times. Units are standards: closed lists."""

import re
from collections.abc import Iterator
from functools import lru_cache


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNITS = {
    "money": """€ £ $ ¥ ₹ ₩ ₽ ₺ ₴ zł kč eur gbp usd jpy chf sek nok dkk isk pln czk huf cny inr krw aud cad nzd brl
        zar euro euros dollar dollars pound pounds pence cent cents franc francs franken kr krone krona kroner kronor
        kronen yen yuan rupee rupees zloty rouble roubles peso pesos rand lira""",
    "mass": """kg g mg µg μg t lb lbs oz gram grams gramm grammes kilogram kilograms kilogramm kilo kilos tonne tonnes
        ton tons ounce ounces""",
    "volume": "l dl cl ml hl m³ litre litres liter liters millilitre millilitres gallon gallons pint pints",
    "length": """m mm cm dm km µm ft metre metres meter meters millimetre millimetres centimetre centimetres kilometre
        kilometres kilometer kilometers zentimeter mile miles inch inches foot feet yard yards""",
    "area": "m² km² ha hectare hectares acre acres",
    "temperature": "°c °f ° celsius fahrenheit kelvin degree degrees grad degrés grados",
    "speed": "m/s km/h mph kn knots",
    "sound": "db decibel decibels",
    "pressure": "bar mbar pa kpa mpa hpa psi",
    "voltage": "v mv kv volt volts",
    "power": "w kw mw watt watts kilowatt kilowatts hp ps",
    "time": """s ms min h hr hrs second seconds minute minutes hour hours day days night nights week weeks month
        months year years sekunde sekunden minuten stunde stunden tag tage tagen woche wochen monat monate monaten
        jahr jahre jahren seconde secondes heure heures jour jours semaine semaines mois an ans année années día días
        horas minutos semanas meses años""",
}
"""By what is measured. A unit's name and its symbol are the same unit."""
_SIZES = "large big small groß grand klein petit"
_ASKED = {
    "money": """cost costs price priced expensive cheap worth kostet kosten preis teuer coûte coûtent coûter prix cher
        cuesta cuestan precio costa costano prezzo kost prijs high low hoch""",
    "temperature": "cold hot warm cool kalt heiß warm froid chaud",
    "length": f"""long short far near high low tall wide narrow broad deep shallow thick thin {_SIZES}
        weit hoch breit tief dick lang""",
    "time": "long short old young often quick quickly lang lange alt oft longtemps temps",
    "speed": "fast quick slow schnell vite",
    "area": _SIZES,
    "volume": _SIZES,
    "mass": f"{_SIZES} heavy light weigh weighs schwer wiegt pèse pesa",
    "sound": "loud noisy quiet laut",
}
"""Words that ask for such a quantity without naming its unit."""
_ALONE = (frozenset(_ASKED["money"].split()) | _set("weigh weighs wiegt pèse pesa")) - _set("high low hoch")
"""Those that ask so without "how" before them: a machine may be heavy or warm and nobody asks how much so."""
_SPENT = _set("pay pays paid spend spent charge charged earn earned bezahlt zahlt payer payé")
"""Words that ask for money after "how much" alone."""
_NAMED = {
    "money": """price prices cost costs fee fees fare fares rent deposit amount salary wage wages tax charge budget
        rate preis gebühr miete betrag kaution tarif prix loyer montant""",
    "mass": "weight mass gewicht poids peso",
    "temperature": "temperature temperatur température temperatura",
    "length": "length width height depth distance länge breite höhe tiefe longueur largeur hauteur",
    "time": "duration time times hours dauer zeit zeiten durée horaire horaires",
    "speed": "speed geschwindigkeit vitesse",
    "area": "area size fläche surface",
    "volume": "volume capacity inhalt contenance",
    "sound": "noise lautstärke bruit",
    "pressure": "pressure druck pression",
    "voltage": "voltage spannung tension",
    "power": "power leistung puissance",
}
"""Words that name such a quantity: in a row's name, a column's heading, a question."""
_NUMBER_WORDS = """
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand
    once twice half quarter no none nobody nothing every each
    zwei drei vier fünf sechs sieben acht neun zehn elf zwölf halb kein keine einmal zweimal jeden
    deux trois quatre cinq six sept huit neuf dix onze douze aucun chaque
    dos tres cuatro cinco seis siete ocho nueve diez once doce cada
"""
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TIME_WORDS = """
    january february march april may june july august september october november december
    januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre
    novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag
    sonntag mondays tuesdays wednesdays thursdays fridays saturdays sundays
    lundi mardi mercredi jeudi vendredi samedi dimanche
    spring summer autumn winter noon midnight morning afternoon evening night dawn dusk easter christmas weekend
    after before until till during when while once twice every daily weekly monthly yearly always never today
    nach vor bis während wenn jeden täglich après avant pendant quand chaque
"""

_BY_UNIT: dict[str, set[str]] = {}
for _dimension, _units in _UNITS.items():
    for _unit in _units.split():
        _BY_UNIT.setdefault(_unit, set()).add(_dimension)
_BY_QUESTION: dict[str, set[str]] = {}
for _dimension, _words in _ASKED.items():
    for _word in _words.split():
        _BY_QUESTION.setdefault(_word, set()).add(_dimension)
_BY_NAME = {word: dimension for dimension, words in _NAMED.items() for word in words.split()}
_NUMBERS = _set(_NUMBER_WORDS)
_TIMES = _set(_TIME_WORDS) | {unit for unit in _BY_UNIT if "time" in _BY_UNIT[unit] and len(unit) > 2}

_WORD = re.compile(r"[^\W\d_]+")
_AFTER_FIGURE = re.compile(r"\d\s?-?([^\s\d.,;:()|]{1,12})")
_TIME = re.compile(
    r"(?<![\w-])(?:\d{1,2}[:.]\d\d|\d{1,2}(?:st|nd|rd|th|er|\.(?=\s\w))|(?:19|20)\d\d)(?!\d)|[年月日時时]"
)
_MONTH = "|".join(_TIME_WORDS.split("monday")[0].split())
_DATE = re.compile(
    rf"(?i)\b\d{{1,2}}(?:st|nd|rd|th|\.|er)?\s(?:{_MONTH})\b|\b(?:{_MONTH})\s\d{{1,2}}\b(?:,\s\d{{4}})?|"
    r"\b(?:19|20)\d\d\b(?!\s?[\w%°])|\b\d{1,2}:\d\d\b"
)
_MONEY = re.compile(r"[€£$¥₹₩₽₺₴]")


@lru_cache(maxsize=4_096)  # the same cells and headings come again and again
def measured(text: str) -> frozenset[str]:
    """What the quantities in `text` measure: money, mass, time and so on; nothing when it has no figure."""
    words = [word.casefold() for word in _WORD.findall(text)]
    if not has_number(text):
        return frozenset()
    found = {dimension for unit in _AFTER_FIGURE.findall(text) for dimension in _BY_UNIT.get(unit.casefold(), ())}
    found |= {dimension for word in words if len(word) > 2 for dimension in _BY_UNIT.get(word, ())}
    return frozenset(found | {"money"} if _MONEY.search(text) else found)


@lru_cache(maxsize=4_096)
def units(heading: str) -> frozenset[str]:
    """What the units in a column's heading measure: "Price (EUR)", "Water, l"."""
    parts = re.split(r"[\s(),\[\]]+", heading.casefold())
    return frozenset(dimension for part in parts for dimension in _BY_UNIT.get(part, ()))


def has_number(text: str) -> bool:
    """Whether there is a figure in `text`, or a number's word."""
    return any(character.isdigit() for character in text) or any(
        word.casefold() in _NUMBERS for word in _WORD.findall(text)
    )


def has_quantity(text: str) -> bool:
    """Whether there is a number in `text` that is not a date's or a time's alone."""
    return has_number(_DATE.sub(" ", text))


def has_time(text: str) -> bool:
    """Whether there is a date, a time or a word for one in `text`."""
    return (
        _TIME.search(text) is not None
        or any(word.casefold() in _TIMES for word in _WORD.findall(text))
        or "time" in measured(text)
    )


def dimension_of_unit(word: str) -> frozenset[str]:
    """What a unit measures; nothing for a word that is none."""
    return frozenset(_BY_UNIT.get(word, ()))


def dimension_asked(word: str) -> frozenset[str]:
    """What a word of a question asks to have measured: mass for "heavy"."""
    return frozenset(_BY_QUESTION.get(word, ()))


def asks_alone(word: str) -> bool:
    """Whether a word asks for a quantity without "how" before it, as "cost" does."""
    return word in _ALONE


def dimension_spent(word: str) -> frozenset[str]:
    """Money for a word that asks for it after "how much"."""
    return frozenset(("money",) if word in _SPENT else ())


def named(text: str) -> frozenset[str]:
    """What the words of `text` that name quantities measure: mass for "Weight"."""
    return frozenset(_BY_NAME[word] for word in _WORD.findall(text.casefold()) if word in _BY_NAME)


def number_words(figure: str) -> Iterator[str]:
    """The words for a small number in figures."""
    if figure.isdecimal() and int(figure) < len(_SMALL):
        yield _SMALL[int(figure)]
