"""A word is found in every script however the chunk spells it or what it is grown together with."""

import unicodedata

import pytest

from worker.vectors import terms
from worker.writing_systems import words_apart

SAME = {
    "Korean, topic": ("납품일", "납품일은 계약 후 30일이다"),
    "Korean, object": ("납품일", "납품일을 지킨다"),
    "Korean, the question has the particle": ("납품일은?", "납품일 30일"),
    "Korean, other particles on both sides": ("계약서를", "계약서에서 정한다"),
    "Korean, a noun of one syllable": ("집", "집은 크다"),
    "Korean, a noun of one syllable and a longer particle": ("물", "물에서 논다"),
    "Korean, written as single letters": (unicodedata.normalize("NFD", "납품일"), "납품일은"),
    "Chinese": ("绿茶", "泡绿茶的水"),
    "Japanese": ("カタカナ", "カタカナの本"),
    "Japanese, half-width": ("ｶﾀｶﾅ", "カタカナの本"),
    "Thai": ("อากาศ", "วันนี้อากาศดีมาก"),
    "Khmer": ("ភាសា", "ភាសាខ្មែរ"),
    "Arabic, the article": ("عجين", "يحتاج العجين إلى وقت"),
    "Arabic, and with the article": ("العقد", "والعقد ساري"),
    "Arabic, for with the article": ("المدير", "للمدير"),
    "Arabic, points": ("مدير", "مُدِير"),
    "Arabic, hamza": ("اتفاق", "أتفاق"),
    "Arabic, the tatweel": ("عقد", "عـــقد"),
    "Persian, kaf and yeh": ("کتابی", "كتابي"),
    "Hebrew, points": ("שלום", "שָׁלוֹם"),
    "Hindi, the virama": ("हिन्दी", "हिन्दी में"),
    "Greek, accents": ("άδεια", "ΑΔΕΙΑ"),
    "Greek, final sigma": ("οδός", "ΟΔΟΣ"),
    "Greek, old accents": ("ἄδεια", "άδεια"),
    "Russian, yo": ("ёлка", "елка"),
    "Russian, the stress": ("замок", "за\u0301мок"),  # noqa: RUF001  Cyrillic letters are the point
    "French": ("cafe", "Café"),
    "French, a ligature": ("oeuvre", "Œuvre"),
    "German": ("strasse", "Straße"),
    "Danish": ("orsted", "Ørsted"),
    "Polish": ("lodz", "ŁÓDŹ"),
    "Turkish, dotted": ("istanbul", "İSTANBUL"),
    "Turkish, dotless": ("isparta", "ısparta"),  # noqa: RUF001  the dotless letter is the point
    "Vietnamese": ("Viet Nam", "Việt Nam"),
    "accents set apart": ("café", "cafe\u0301"),
    "wide letters": ("Qdrant", "Ｑｄｒａｎｔ"),  # noqa: RUF001  wide letters are the point
    "wide digits": ("2025", "２０２５"),  # noqa: RUF001  wide digits are the point
    "Arabic digits": ("2025", "٢٠٢٥"),
    "Persian digits": ("2025", "۲۰۲۵"),
    "Hindi digits": ("2025", "२०२५"),
}


@pytest.mark.parametrize(("question", "chunk"), SAME.values(), ids=SAME)
def test_a_word_meets_itself(question: str, chunk: str) -> None:
    assert terms(question) & terms(chunk)


@pytest.mark.parametrize(
    ("question", "chunk"),
    [
        ("학교", "학년 시작"),
        ("날씨는 어떻습니까", "납품일은 삼십 일입니다"),
        ("비용을 합니까", "검사를 합니다"),
        ("май", "мать"),
        ("й", "и"),
        ("كتاب", "باب"),
        ("天气", "泡绿茶的水"),
    ],
)
def test_other_words_do_not_meet(question: str, chunk: str) -> None:
    assert not terms(question) & terms(chunk)


def test_a_korean_word_as_it_is_written_counts_more_than_its_parts() -> None:
    asked = terms("납품일은")
    assert len(asked & terms("납품일은")) > len(asked & terms("납품일을")) > len(asked & terms("작업일을"))


@pytest.mark.parametrize("text", ["Café naïve Straße", "“Quoted” 5 € ½", "the ﬁnance office"])
def test_latin_letters_and_their_punctuation_are_left_to_the_tokenizer(text: str) -> None:
    assert words_apart(text) == text
