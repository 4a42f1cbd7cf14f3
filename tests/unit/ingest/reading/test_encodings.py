"""Each encoding that texts come in, in the languages that are written in it, in a line or two."""
# ruff: noqa: RUF001 - letters of other alphabets are what this is about

import random

import pytest

from app.core.formats import MediaType
from ingest.reading.encodings import decoded
from ingest.reading.loaders import load
from ingest.reading.reasons import FileError, Reason

TEXTS = {
    "Russian": "Ключ от насосной висит за синей дверью.",
    "Ukrainian": "Ключ від комори висить за синіми дверима, їх двоє.",
    "Bulgarian": "Ключът от склада виси зад синята врата.",
    "Greek": "Το κλειδί της αποθήκης κρέμεται πίσω από την μπλε πόρτα.",
    "Hebrew": "מפתח המחסן תלוי מאחורי הדלת הכחולה.",
    "Arabic": "مفتاح المخزن معلق خلف الباب الأزرق.",
    "Chinese": "仓库的钥匙挂在蓝色的门后面，租金每月九百元。",
    "traditional Chinese": "倉庫的鑰匙掛在藍色的門後面，租金每月九百元。",
    "Japanese": "倉庫の鍵は青いドアの後ろに掛かっています。",
    "Korean": "창고 열쇠는 파란 문 뒤에 걸려 있습니다.",
    "Thai": "กุญแจโกดังแขวนอยู่หลังประตูสีน้ำเงิน",
    "German": "Der Schlüssel hängt hinter der blauen Tür, die Gebühr beträgt 40 Euro.",
    "French": "La clé de l'entrepôt est accrochée derrière la porte bleue, à côté de la fenêtre.",
    "Spanish": "La llave del almacén está detrás de la puerta azul; mañana abrirá el señor Ibáñez.",
    "Swedish": "Nyckeln till förrådet hänger bakom den blå dörren på vänster sida.",
    "English": "The café’s key costs £15 – ask at the bar.",
    "Polish": "Klucz do magazynu wisi za niebieskimi drzwiami, opłata wynosi sześćdziesiąt złotych.",
    "Czech": "Klíč od skladu visí za modrými dveřmi, poplatek činí šedesát korun ročně.",
    "Hungarian": "A raktár kulcsa a kék ajtó mögött lóg, az éves díj hatvan forint, fűtéssel együtt.",
    "Turkish": "Deponun anahtarı mavi kapının arkasında asılı, ücreti altmış liradır; çocuklara değil.",
    "Lithuanian": "Sandėlio raktas kabo už mėlynų durų, mokestis šešiasdešimt eurų.",
}
ENCODINGS = {
    "Russian": ("cp1251", "koi8-r", "iso8859-5", "cp866"),
    "Ukrainian": ("cp1251", "koi8-u"),
    "Bulgarian": ("cp1251",),
    "Greek": ("cp1253", "iso8859-7"),
    "Hebrew": ("cp1255", "iso8859-8"),
    "Arabic": ("cp1256", "iso8859-6"),
    "Chinese": ("gb18030",),
    "traditional Chinese": ("big5",),
    "Japanese": ("shift_jis", "euc-jp", "iso2022_jp"),
    "Korean": ("euc-kr",),
    "Thai": ("cp874",),
    "German": ("cp1252", "iso8859-1", "mac-roman"),
    "French": ("cp1252", "mac-roman"),
    "Spanish": ("cp1252", "mac-roman"),
    "Swedish": ("cp1252",),
    "English": ("cp1252", "mac-roman"),
    "Polish": ("cp1250", "iso8859-2"),
    "Czech": ("cp1250", "iso8859-2"),
    "Hungarian": ("cp1250",),
    "Turkish": ("cp1254",),
    "Lithuanian": ("cp1257",),
}
OF_ALL = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize(
    ("language", "encoding"), [(language, one) for language, those in ENCODINGS.items() for one in those]
)
def test_a_line_in_an_old_encoding_is_read_as_it_was_written_or_refused(language: str, encoding: str) -> None:
    assert decoded(TEXTS[language].encode(encoding)) == TEXTS[language]


ENGLISH = "The committee met on 4 March and agreed the budget for the coming year without a vote. " * 4
MARKUP = '<html><body class="page"><p>{}</p><a href="/index.html">Home</a></body></html>'


@pytest.mark.parametrize(
    ("language", "encoding"), [(language, one) for language, those in ENCODINGS.items() for one in those]
)
def test_english_and_markup_around_a_line_say_nothing_of_its_encoding(language: str, encoding: str) -> None:
    for text in (ENGLISH + TEXTS[language], MARKUP.format(TEXTS[language])):
        assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("text", ["naïve", "Müller", "5 °C", "© 2024 Acme", "The café costs €5.", "“Yes” – she said"])
def test_a_few_signs_in_latin_words_are_read_as_most_programs_write_them(text: str) -> None:
    assert decoded(text.encode("cp1252")) == text


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("encoding", OF_ALL)
def test_a_line_in_unicode_is_read(language: str, encoding: str) -> None:
    text = f"{TEXTS[language]}\r\n{TEXTS[language]}"
    assert decoded(text.encode(encoding)).removeprefix("\ufeff") == text.replace("\r\n", "\n")


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("form", ['<meta charset="{}">', '<?xml version="1.0" encoding="{}"?>'])
def test_a_charset_that_is_declared_is_heeded(language: str, form: str) -> None:
    for encoding in (*ENCODINGS[language], "gb18030"):
        if encoding not in ("mac-roman", "iso2022_jp"):
            text = form.format(encoding.upper()) + TEXTS[language]
            assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("language", ["Russian", "Greek", "Japanese", "Korean"])
def test_a_charset_that_is_declared_wrongly_is_not_believed(language: str) -> None:
    html = f'<meta charset="iso-8859-1"><p>{TEXTS[language]}</p>'
    (page,) = load(MediaType.HTML, html.encode(ENCODINGS[language][0])).pages
    assert (page.text or "").strip() == TEXTS[language]


def test_a_utf_8_text_with_a_broken_byte_is_read_but_for_that() -> None:
    assert decoded("Ключ висит за дверью. ".encode() + b"\xff") == "Ключ висит за дверью. \ufffd"


def test_bytes_that_make_words_in_no_encoding_are_refused_for_that() -> None:
    noise = bytes(random.Random(1).choices(range(0x80, 0x100), k=400))
    with pytest.raises(FileError) as caught:
        decoded(b"The key " + noise)
    assert caught.value.reason in (Reason.UNKNOWN_ENCODING, Reason.DAMAGED)


def test_a_text_with_zero_bytes_that_is_not_utf_16_is_refused() -> None:
    with pytest.raises(FileError) as caught:
        decoded(b"The key\0 hangs behind the door.")
    assert caught.value.reason is Reason.DAMAGED
