"""A page's text that is no text is told from any text that is one."""

# ruff: noqa: E501, RUF001  tables of text in many languages

import base64
import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.reading.pdf.document import PdfDocument
from ingest.reading.pdf.garbage import is_garbage, is_garbled
from tests.support import pdfs

ENGLISH = (
    "The harbour master keeps the key behind the third oar, and nobody may take a boat out before six in the morning. "
    "Members who wish to row at night need a lamp, a whistle and a second person. Damage is to be written into the book "
    "in the hall on the same day, with the name of the boat, its number and what was broken. The committee meets on the "
    "first Monday of each month, and its minutes hang beside the door. Guests pay four pounds for a day and are welcome "
    "when a member is with them. The river is closed when the red flag flies from the bridge. Children under twelve row "
    "with a life jacket only, which may be borrowed from the store without a fee."
)
LANGUAGES = {
    "English": ENGLISH,
    "German": "Der Hafenmeister verwahrt den Schlüssel hinter dem dritten Ruder, und niemand darf vor sechs Uhr morgens "
    "hinausfahren. Mitglieder, die nachts rudern wollen, brauchen eine Lampe, eine Pfeife und eine zweite Person. Schäden "
    "sind am selben Tag in das Buch in der Halle einzutragen, mit dem Namen des Bootes und dem, was zerbrochen ist.",
    "French": "Le capitaine du port garde la clé derrière la troisième rame, et personne ne peut sortir avant six heures du "
    "matin. Les membres qui souhaitent ramer la nuit ont besoin d'une lampe, d'un sifflet et d'une deuxième personne. Les "
    "dégâts doivent être inscrits le jour même dans le livre du hall, avec le nom du bateau et ce qui a été cassé.",
    "Vietnamese": "Người quản lý bến cảng giữ chìa khóa sau mái chèo thứ ba, và không ai được ra khơi trước sáu giờ sáng. "
    "Các thành viên muốn chèo thuyền vào ban đêm cần có đèn, còi và người thứ hai. Mọi hư hỏng phải được ghi vào sổ trong "
    "hội trường ngay trong ngày, cùng với tên thuyền, số thuyền và những gì đã bị hỏng.",
    "Turkish": "Liman müdürü anahtarı üçüncü küreğin arkasında saklar ve sabah altıdan önce kimse tekneyle çıkamaz. Gece "
    "kürek çekmek isteyen üyelerin bir lambaya, bir düdüğe ve ikinci bir kişiye ihtiyacı vardır. Hasarlar aynı gün "
    "salondaki deftere teknenin adı, numarası ve neyin kırıldığı ile birlikte yazılmalıdır.",
    "Finnish": "Satamamestari säilyttää avainta kolmannen airon takana, eikä kukaan saa lähteä vesille ennen kuutta aamulla. "
    "Jäsenet, jotka haluavat soutaa yöllä, tarvitsevat lampun, pillin ja toisen henkilön. Vahingot on kirjattava samana "
    "päivänä salin kirjaan veneen nimen, numeron ja rikkoutuneen osan kanssa.",
    "Polish": "Kapitan portu trzyma klucz za trzecim wiosłem i nikt nie może wypłynąć przed szóstą rano. Członkowie, którzy "
    "chcą wiosłować w nocy, potrzebują lampy, gwizdka i drugiej osoby. Szkody należy tego samego dnia wpisać do księgi w "
    "holu wraz z nazwą łodzi, jej numerem i tym, co zostało zepsute. Rzeka jest zamknięta, gdy powiewa czerwona flaga.",
    "Welsh": "Mae meistr yr harbwr yn cadw'r allwedd y tu ôl i'r trydydd rhwyf, ac ni chaiff neb fynd â chwch allan cyn "
    "chwech y bore. Mae angen lamp, chwiban ac ail berson ar aelodau sy'n dymuno rhwyfo yn y nos. Rhaid ysgrifennu pob "
    "difrod yn y llyfr yn y neuadd ar yr un diwrnod, gydag enw'r cwch, ei rif a'r hyn a dorrwyd.",
    "Czech": "Správce přístavu má klíč za třetím veslem a nikdo nesmí vyplout před šestou hodinou ráno. Členové, kteří chtějí "
    "veslovat v noci, potřebují lampu, píšťalku a druhou osobu. Škody je třeba zapsat týž den do knihy v hale spolu se "
    "jménem lodi, jejím číslem a tím, co bylo rozbito. Strč prst skrz krk.",
    "Hawaiian": "Mālama ka luna awa i ke kī ma hope o ka hoe ʻekolu, a ʻaʻole hiki i kekahi ke lawe i ka waʻa ma mua o ka "
    "hola ʻeono o ke kakahiaka. Pono nā lālā e makemake e hoe i ka pō i kukui, ʻūlili, a me ka lua o ke kanaka.",
    "Russian": "Начальник гавани хранит ключ за третьим веслом, и никто не может выйти на лодке раньше шести часов утра. "
    "Членам клуба, желающим грести ночью, нужны лампа, свисток и второй человек. О повреждениях следует в тот же день "
    "записать в книгу в зале, указав название лодки, её номер и что было сломано.",
    "Bulgarian": "Капитанът на пристанището държи ключа зад третото весло и никой не може да излиза преди шест часа "
    "сутринта. Членовете, които искат да гребат през нощта, се нуждаят от лампа, свирка и втори човек.",
    "Greek": "Ο λιμενάρχης φυλάει το κλειδί πίσω από το τρίτο κουπί και κανείς δεν μπορεί να βγει με βάρκα πριν από τις έξι "
    "το πρωί. Τα μέλη που θέλουν να κωπηλατήσουν τη νύχτα χρειάζονται μια λάμπα, μια σφυρίχτρα και ένα δεύτερο άτομο.",
    "Arabic": "يحتفظ مدير المرفأ بالمفتاح خلف المجداف الثالث، ولا يجوز لأحد أن يخرج بالقارب قبل السادسة صباحا. ويحتاج الأعضاء "
    "الذين يرغبون في التجديف ليلا إلى مصباح وصفارة وشخص ثان.",
    "Hebrew": "מנהל הנמל שומר את המפתח מאחורי המשוט השלישי, ואיש אינו רשאי לצאת בסירה לפני שש בבוקר. חברים המבקשים לחתור "
    "בלילה זקוקים לפנס, למשרוקית ולאדם נוסף.",
    "Hindi": "बंदरगाह प्रबंधक चाबी को तीसरे चप्पू के पीछे रखता है, और सुबह छह बजे से पहले कोई भी नाव नहीं ले जा सकता। रात में नाव "
    "चलाने के इच्छुक सदस्यों को एक दीपक, एक सीटी और एक दूसरे व्यक्ति की आवश्यकता होती है।",
    "Thai": "นายท่าเก็บกุญแจไว้หลังพายอันที่สาม และห้ามผู้ใดนำเรือออกก่อนหกโมงเช้า สมาชิกที่ต้องการพายเรือในเวลากลางคืน"
    "ต้องมีตะเกียง นกหวีด และคนที่สอง",
    "Chinese": "港务长把钥匙放在第三支桨的后面，早上六点以前任何人不得划船出去。想在夜里划船的会员需要一盏灯、一只哨子和另一个人。",
    "Japanese": "港長は三本目のオールの後ろに鍵を置いており、朝六時前には誰もボートを出すことができません。夜に漕ぎたい会員は"
    "ランプと笛ともう一人の人が必要です。",
    "Korean": "항만장은 세 번째 노 뒤에 열쇠를 보관하며, 아침 여섯 시 전에는 아무도 배를 타고 나갈 수 없습니다. 밤에 노를 젓고 "
    "싶은 회원은 램프와 호루라기, 그리고 두 번째 사람이 필요합니다.",
    "Georgian": "ნავსადგურის უფროსი გასაღებს მესამე ნიჩბის უკან ინახავს და დილის ექვს საათამდე ნავით გასვლა არავის შეუძლია.",
}
CHANCE = random.Random(7)


def _codes(count: int, length: int, letters: str) -> str:
    return " ".join("".join(CHANCE.choices(letters, k=length)) for _ in range(count))


CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROGRAM = Path(hashlib.__file__).read_text()[:6000]
REAL = {
    **LANGUAGES,
    "capitals": ENGLISH.upper(),
    "spaced letters": " ".join("STATEMENT OF ACCOUNTS OF THE ROWING CLUB FOR THE YEAR"),
    "figures": "\n".join(f"{n} 1,{n}34 ({n * 7}) 12.{n}% $ {n * 31} — £{n}" for n in range(100, 180)),
    "part numbers": "\n".join(f"WSR-{n}-QX7 BRKT M8x{n} ZN PLT 2 EA" for n in range(10, 90)),
    "tickers": _codes(400, 4, CAPITALS),
    "serial numbers": _codes(200, 12, CAPITALS + "0123456789"),
    "genes": _codes(120, 10, "ACGT"),
    "protein": _codes(120, 10, "ACDEFGHIKLMNPQRSTVWY"),
    "base64": "\n".join(base64.b64encode(CHANCE.randbytes(54)).decode() for _ in range(50)),
    "hashes": "\n".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(60)),
    "hex dump": "\n".join(CHANCE.randbytes(16).hex(" ") for _ in range(80)),
    "program": PROGRAM,
    "shell": "\n".join(
        f'for f in "$@"; do [ -f "$f" ] && x=$(wc -l <"$f") || echo "$0: {n}?" >&2; done' for n in range(40)
    ),
    "formulas": "\n".join(
        f"∫ f(x)dx = Σ a_{n} x^{n} / {n}! + O(h²), ∂u/∂t = κ∇²u, |ψ⟩ = α|0⟩ + β|1⟩" for n in range(40)
    ),
    "ascii formulas": "\n".join(f"(a+b)*(c-d)/[e^{n}] <= {{x_{n}}} = |y| + 2*(z-1)" for n in range(60)),
    "chemistry": "2-(4-isobutylphenyl)propanoic acid; 1,3,7-trimethylpurine-2,6-dione; N-(4-hydroxyphenyl)acetamide; "
    "C₈H₁₀N₄O₂; (1R,2S,5R)-5-methyl-2-(propan-2-yl)cyclohexan-1-ol; phenylmethylsulfonyl fluoride; NaHCO₃; Fe₂(SO₄)₃. "
    * 8,
    "contents": "\n".join(f"{n} The boats of the club {'. ' * 40}{n * 3}" for n in range(1, 40)),
    "rules": "\n".join("-" * 60 + "=" * 30 + "_" * 20 for _ in range(30)),
    "check boxes": "\n".join(f"☐ yes ☒ no ✓ {n} ● ■ ► ★" for n in range(60)),
    "bullets of a symbol font": "\n".join(f"\uf0b7 {line}" for line in ENGLISH.split(". ")),
    "phonetics": "/ˈhɑːbə ˈmɑːstə/ /ðə ˈrɪvə ɪz kləʊzd/ /ˈtʃɪldrən ˈʌndə twelv/ /ˈwɪsl/ /kəˈmɪti/ /ˈmɪnɪts/ " * 12,
    "names of units": "μm Δx Ωm αβ λ/2 mΩ kΩ µF °C ±5 % Δp = ρgh μmol/l βHCG γGT " * 20,
    "several languages": "\n".join(LANGUAGES.values()),
    "one word": "Contents",
    "a hyphen of pdfium's": "transporta\x02tion of goods to the ware\x02house",
    "nothing": "",
}
"""What stands on real pages."""


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("times", [1, 4])
def test_real_text_is_not_garbage(kind: str, times: int) -> None:
    assert not is_garbage("\n".join([REAL[kind]] * times))


def _by_use(first: int) -> Callable[[str], str]:
    def disguised(text: str) -> str:
        codes: dict[str, str] = {}
        return "".join(c if c in " \n" else codes.setdefault(c, chr(first + len(codes))) for c in text)

    return disguised


def _moved(by: int) -> Callable[[str], str]:
    return lambda text: "".join(c if c == "\n" else chr((ord(c) + by) % 256) for c in text)


def _turned(by: int) -> Callable[[str], str]:
    small = "abcdefghijklmnopqrstuvwxyz"
    own = small[by:] + small[:by]
    return lambda text: text.translate(str.maketrans(small + small.upper(), own + own.upper()))


def _exchanged(text: str) -> str:
    own = "qwertzuiopasdfghjklyxcvbnm"
    return text.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", own))


GARBAGE: dict[str, Callable[[str], str]] = {
    **{
        f"glyphs numbered by use from {first:#x}": _by_use(first) for first in (1, 0x21, 0xA1, 0x100, 0xE000, 0xF0000)
    },
    **{f"moved by {by}": _moved(by) for by in (-31, -30, -29, -28, -3, -2, -1, 1, 2, 3, 29, 31)},
    **{f"turned by {by}": _turned(by) for by in (1, 2, 3, 23, 24, 25)},
    "letters exchanged": _exchanged,
    "private": lambda text: "".join(chr(0xF000 + ord(c)) if c not in " \n" else c for c in text),
    "replacements": lambda text: "".join("\ufffd" if c.isalpha() else c for c in text),
    "Cyrillic read as Latin-1": lambda _: LANGUAGES["Russian"].encode("cp1251").decode("latin-1"),
    "Cyrillic of UTF-8 read as Latin-1": lambda _: LANGUAGES["Russian"].encode().decode("latin-1"),
    "Greek read as Latin-1": lambda _: LANGUAGES["Greek"].encode("iso8859-7", "ignore").decode("latin-1"),
    "Chinese read as Latin-1": lambda _: LANGUAGES["Chinese"].encode("gb18030").decode("latin-1"),
    "scripts mixed in words": lambda text: "".join(
        chr(ord(c) + (0, 0x3B0 - 96, 0x430 - 97, 0x5D0 - 97)[at % 4]) if c.islower() else c
        for at, c in enumerate(text)
    ),
}
"""What fonts without a character map, or with a wrong one, make of it."""


@pytest.mark.parametrize("way", GARBAGE)
@pytest.mark.parametrize("times", [2, 5])
def test_garbage_is_told(way: str, times: int) -> None:
    assert is_garbage(GARBAGE[way]("\n".join([ENGLISH] * times)))


def test_a_line_of_private_characters_is_told_from_a_bullet() -> None:
    assert is_garbled("\uf041\uf042 \uf043")
    assert not is_garbled("\uf0b7 The key hangs behind the oar.")
    assert not is_garbled("The key hangs behind the oar.")


def _page(path: Path) -> str | None:
    return PdfDocument(path.read_bytes()).page(0).text


def _lines() -> list[str]:
    return [line.strip() for line in re.findall(r".{1,40}(?:\s|$)", ENGLISH)]


def test_a_page_without_a_character_map_is_missing(tmp_path: Path) -> None:
    for move in (-29, 0xF000, -0x1F):
        lines = [[chr((ord(letter) + move) % 0x10000) for letter in line] for line in _lines()]
        document = PdfDocument(pdfs.unicode_pdf(tmp_path / "a.pdf", lines).read_bytes())
        assert document.page(0).text is None
        assert document.title() == ""


def test_a_line_of_another_font_is_left_out_of_a_page_of_words(tmp_path: Path) -> None:
    lines = [*_lines(), "".join(chr(0xF000 + ord(c)) for c in "garbage")]
    assert _page(pdfs.unicode_pdf(tmp_path / "a.pdf", lines)) == "\n".join(lines[:-1])
