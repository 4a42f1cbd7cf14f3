"""Ways to put words on a PDF's page that no reader of the page sees, and ways that only look like it.

Each is a function that writes a page with `MARK` drawn in that way. `SHOWN` stands beside it for all to see.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

SHOWN = "Harbour"
MARK = "Zanzibar"

HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
PAGE_BOX = b"[0 0 600 800]"


def text(words: str, x: float = 60, y: float = 600, *, size: float = 12, before: str = "") -> str:
    """Operators that show words."""
    return f"BT /F {size} Tf {before} {x} {y} Td ({words}) Tj ET\n"


HIDDEN = text(MARK)
CONTROL = text(SHOWN, y=700)


@dataclass(frozen=True)
class Drawing:
    """A page: what draws it, what it uses, and what else its dictionary, the catalog and the file have.

    The first of the file's `objects` has the number 6.
    """

    content: str
    resources: str = ""
    objects: tuple[bytes, ...] = ()
    page: str = ""
    catalog: str = ""
    fonts: str = ""

    def pdf(self) -> bytes:
        """The file."""
        page = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R{self.page}"
            f"/Resources<</Font<</F 5 0 R{self.fonts}>>{self.resources}>>>>"
        )
        return written(
            f"<</Type/Catalog/Pages 2 0 R{self.catalog}>>".encode(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            page.encode(),
            stream(self.content.encode("latin-1")),
            HELVETICA,
            *self.objects,
        )


def stream(data: bytes, more: str = "") -> bytes:
    """A stream object."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (more.encode(), len(data), data)


def written(*objects: bytes) -> bytes:
    """A file of these objects, numbered from 1."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        len(out),
    )


def form(content: str, more: str = "") -> bytes:
    """A form XObject that may use the font."""
    head = f"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>>>{more}"
    return stream(content.encode("latin-1"), head)


def image(pixels: bytes, width: int, height: int, more: str = "") -> bytes:
    """A grey picture."""
    head = f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent 8"
    return stream(zlib.compress(pixels), f"{head}/Filter/FlateDecode{more}")


def noise(width: int, height: int) -> bytes:
    """Pixels as of a photograph of gravel."""
    at, pixels = 1, bytearray()
    for _ in range(width * height):
        at = at * 1103515245 + 12345 & 0x7FFFFFFF
        pixels.append(at >> 16 & 0xFF)
    return bytes(pixels)


def layer(state: str, mark: str = "") -> Drawing:
    """Words on a layer, object 6, with the catalog's `state` of it."""
    return Drawing(
        CONTROL + f"/OC /M BDC {HIDDEN} EMC",
        f"/Properties<</M {mark or '6 0 R'}>>",
        (b"<</Type/OCG/Name(inner)>>",),
        catalog=f"/OCProperties<</OCGs[6 0 R]/D<<{state}>>>>",
    )


def over(cover: str, resources: str = "", objects: tuple[bytes, ...] = ()) -> Drawing:
    """Words, and what is drawn over them."""
    return Drawing(CONTROL + HIDDEN + cover, resources, objects)


def picture(data: bytes, width: int, height: int, content: str, more: str = "") -> Drawing:
    """A page with a picture, /I."""
    return Drawing(content, "/XObject<</I 6 0 R>>", (image(data, width, height, more),))


def type3(glyph: str) -> Drawing:
    """Words in a font whose every glyph is drawn so."""
    codes = sorted({ord(letter) for letter in MARK})
    names = " ".join(f"{code}/g{code}" for code in codes)
    procs = "".join(f"/g{code} 7 0 R" for code in codes)
    cmap = "".join(f"<{code:02x}><{code:04x}>" for code in codes)
    font = (
        f"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 0/LastChar 255"
        f"/Widths[{'600 ' * 256}]/Encoding<</Differences[{names}]>>/CharProcs<<{procs}>>/ToUnicode 8 0 R>>"
    )
    table = (
        f"begincmap 1 begincodespacerange<00><ff>endcodespacerange {len(codes)} beginbfchar {cmap} endbfchar endcmap"
    )
    return Drawing(
        CONTROL + HIDDEN.replace("/F", "/T"),
        "",
        (font.encode(), stream(glyph.encode()), stream(table.encode())),
        fonts="/T 6 0 R",
    )


def annotated(kind: str, appearance: str, more: str = "") -> Drawing:
    """Words under an annotation."""
    look = stream(appearance.encode(), "/Type/XObject/Subtype/Form/BBox[0 0 100 30]")
    note = f"<</Type/Annot/Subtype/{kind}/Rect[50 590 150 620]/F 4/AP<</N 6 0 R>>{more}>>"
    return Drawing(CONTROL + HIDDEN, "", (look, note.encode()), page="/Annots[7 0 R]")


def scan(words: str, bar: str = "", *, mode: str = "3 Tr") -> Drawing:
    """A scan of two lines, `SHOWN` and `MARK`, and the words that OCR read in it; a bar may hide a part of it."""
    from PIL import Image, ImageDraw

    paper = Image.new("L", (1200, 1600), 244)
    draw = ImageDraw.Draw(paper)
    for word, y in ((SHOWN, 700), (MARK, 600)):
        draw.text((120, 1600 - 2 * y - 26), word, fill=30, font_size=36)
    if bar:
        left, bottom, right, top = map(float, bar.split())
        draw.rectangle((2 * left, 1600 - 2 * top, 2 * right, 1600 - 2 * bottom), fill=12)
    read = text(SHOWN, y=700, size=18, before=mode) + text(words, y=600, size=18, before=mode)
    return picture(paper.tobytes(), 1200, 1600, f"q 600 0 0 800 0 0 cm /I Do Q {read}")


def shaded(content: str) -> Drawing:
    """A page that may use the shading /S, which is black all over."""
    function = b"<</FunctionType 2/Domain[0 1]/C0[0 0 0]/C1[0 0 0]/N 1>>"
    shading = b"<</ShadingType 2/ColorSpace/DeviceRGB/Coords[0 0 600 0]/Function 6 0 R/Extend[true true]>>"
    return Drawing(content, "/Shading<</S 7 0 R>>", (function, shading))


BOX = "50 590 100 30 re f\n"
BLOCKS = text("IIIIIIIIIIIIIIII", before="-1.5 Tc 120 Tz 2 Tr 2 w")
"""Letters set so close that they are a bar."""
TILE = (
    "/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 10 10]/XStep 10/YStep 10/Resources<<>>"
    "/Matrix[1 0 0 1 0 0]"
)
TINT = "<</FunctionType 2/Domain[0 1]/C0[1 1 1]/C1[0 0 0]/N 1>>"

WAYS: dict[str, Callable[[], Drawing]] = {
    "invisible mode": lambda: Drawing(CONTROL + text(MARK, before="3 Tr")),
    "clip mode": lambda: Drawing(CONTROL + f"q {text(MARK, before='7 Tr')} Q"),
    "white": lambda: Drawing(CONTROL + "1 g " + HIDDEN),
    "nearly white": lambda: Drawing(CONTROL + ".98 g " + HIDDEN),
    "white in colour": lambda: Drawing(CONTROL + "1 1 1 rg " + HIDDEN),
    "white in inks": lambda: Drawing(CONTROL + "0 0 0 0 k " + HIDDEN),
    "white of a spot colour": lambda: Drawing(
        CONTROL + "/C cs 0 scn " + HIDDEN, f"/ColorSpace<</C[/Separation/Spot/DeviceRGB {TINT}]>>"
    ),
    "white in Lab": lambda: Drawing(
        CONTROL + "/C cs 100 0 0 scn " + HIDDEN, "/ColorSpace<</C[/Lab<</WhitePoint[.9505 1 1.089]>>]>>"
    ),
    "white pattern": lambda: Drawing(
        CONTROL + "/Pattern cs /P scn " + HIDDEN,
        "/Pattern<</P 6 0 R>>",
        (stream(b"1 g 0 0 10 10 re f", TILE),),
    ),
    "the page's own colour": lambda: Drawing(".2 .4 .6 rg 0 0 600 800 re f 1 g " + CONTROL + ".2 .4 .6 rg " + HIDDEN),
    "a box's own colour": lambda: Drawing(CONTROL + "0 g " + BOX + HIDDEN),
    "a table's white on white": lambda: Drawing(CONTROL + "1 g " + BOX + HIDDEN),
    "white outlines": lambda: Drawing(CONTROL + text(MARK, before="1 Tr 1 G")),
    "white inside and out": lambda: Drawing(CONTROL + text(MARK, before="2 Tr 1 G 1 g")),
    "white in a form": lambda: Drawing(CONTROL + "/X Do", "/XObject<</X 6 0 R>>", (form("1 g " + HIDDEN),)),
    "white in a form in a form": lambda: Drawing(
        CONTROL + "/X Do",
        "/XObject<</X 6 0 R>>",
        (
            stream(b"/Y Do", "/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</Y 7 0 R>>>>"),
            form("1 g " + HIDDEN),
        ),
    ),
    "cut off by a form": lambda: Drawing(
        CONTROL + "/X Do", "/XObject<</X 6 0 R>>", (form(HIDDEN).replace(b"[0 0 600 800]", b"[0 0 50 50]"),)
    ),
    "no opacity": lambda: Drawing(CONTROL + "/G gs " + HIDDEN, "/ExtGState<</G<</ca 0/CA 0>>>>"),
    "soft mask": lambda: Drawing(
        CONTROL + "/G gs " + HIDDEN,
        "/ExtGState<</G<</SMask<</S/Luminosity/G 6 0 R>>>>>>",
        (form("0 g 0 0 600 800 re f", "/Group<</S/Transparency/CS/DeviceGray>>"),),
    ),
    "blended away": lambda: Drawing(
        CONTROL + "1 g 0 0 600 650 re f /G gs 0 g " + HIDDEN, "/ExtGState<</G<</BM/Screen>>>>"
    ),
    "under a black box": lambda: over("0 g " + BOX),
    "under a white box": lambda: over("1 g " + BOX),
    "under a thick line": lambda: over("0 G 30 w 50 605 m 150 605 l S\n"),
    "under a black box in a form": lambda: over("/X Do", "/XObject<</X 6 0 R>>", (form("0 g " + BOX),)),
    "under a shading": lambda: shaded(CONTROL + HIDDEN + f"q {BOX.replace('f', 'W n')} /S sh Q"),
    "under a picture": lambda: picture(noise(100, 30), 100, 30, CONTROL + HIDDEN + "q 100 0 0 30 50 590 cm /I Do Q"),
    "under a white picture": lambda: picture(b"\xff", 1, 1, CONTROL + HIDDEN + "q 100 0 0 30 50 590 cm /I Do Q"),
    "under a picture of the whole page": lambda: picture(
        b"\xf0", 1, 1, HIDDEN + "q 600 0 0 800 0 0 cm /I Do Q " + CONTROL
    ),
    "invisible over a picture": lambda: picture(
        noise(100, 30), 100, 30, CONTROL + "q 100 0 0 30 50 590 cm /I Do Q " + text(MARK, before="3 Tr")
    ),
    "under a black note": lambda: annotated("Square", "0 g 0 0 100 30 re f"),
    "under a redaction": lambda: annotated("Redact", "0 g 0 0 100 30 re f"),
    "under other words": lambda: Drawing(
        CONTROL + HIDDEN + BLOCKS,
    ),
    "a bar on part of a line": lambda: Drawing(text(f"{SHOWN}: {MARK} Smith", y=600) + "0 g 108 596 53 16 re f\n"),
    "a bar with a stamp on it": lambda: over("0 g " + BOX + "1 g " + text("Exempt", x=70, y=601, size=9)),
    "clipped away": lambda: Drawing(CONTROL + f"q 0 0 10 10 re W n {HIDDEN} Q"),
    "clipped by nothing": lambda: Drawing(CONTROL + f"q 60 600 0 0 re W n {HIDDEN} Q"),
    "off the page": lambda: Drawing(CONTROL + text(MARK, x=700)),
    "outside of the crop box": lambda: Drawing(CONTROL + text(MARK, y=100), page="/CropBox[0 300 600 800]"),
    "tiny": lambda: Drawing(CONTROL + text(MARK, size=0.5)),
    "flat": lambda: Drawing(CONTROL + f"BT /F 12 Tf 1 0 0 .01 60 600 Tm ({MARK}) Tj ET"),
    "one per cent wide": lambda: Drawing(CONTROL + text(MARK, before="1 Tz")),
    "no size": lambda: Drawing(CONTROL + f"BT /F 12 Tf 0 0 0 0 60 600 Tm ({MARK}) Tj ET"),
    "letters on one another": lambda: Drawing(CONTROL + text(MARK, before="-6 Tc")),
    "a font without shapes": lambda: type3("600 0 d0"),
    "a font of white shapes": lambda: type3("600 0 d0 1 g 0 0 500 700 re f"),
    "a layer that is off": lambda: layer("/OFF[6 0 R]"),
    "a layer that is off unless asked for": lambda: layer("/BaseState/OFF"),
    "a layer of a policy": lambda: layer("/OFF[6 0 R]", "<</Type/OCMD/OCGs[6 0 R]/P/AllOn>>"),
    "a layer within a layer": lambda: Drawing(
        CONTROL + f"/OC /M BDC /OC /N BDC {HIDDEN} EMC EMC",
        "/Properties<</M 6 0 R/N 7 0 R>>",
        (b"<</Type/OCG/Name(outer)>>", b"<</Type/OCG/Name(inner)>>"),
        catalog="/OCProperties<</OCGs[6 0 R 7 0 R]/D<</OFF[6 0 R]>>>>",
    ),
    "a form on a layer that is off": lambda: Drawing(
        CONTROL + "/X Do",
        "/XObject<</X 7 0 R>>",
        (b"<</Type/OCG/Name(inner)>>", form(HIDDEN, "/OC 6 0 R")),
        catalog="/OCProperties<</OCGs[6 0 R]/D<</OFF[6 0 R]>>>>",
    ),
    "words that replace what is shown": lambda: Drawing(
        CONTROL + f"/Span<</ActualText({MARK})>>BDC {text('Something')} EMC"
    ),
    "words in a list that replace what is shown": lambda: Drawing(
        CONTROL + f"/Span /A BDC {text('Something')} EMC", f"/Properties<</A<</ActualText({MARK})>>>>"
    ),
    "a scan's words where it is blank": lambda: scan(f"{SHOWN}    {MARK}"),
    "a scan's words under a bar": lambda: scan(MARK, "50 590 160 625"),
    "a scan's words under a flat bar": lambda: scan(MARK, "60 602 140 612"),
    "a scan drawn over its words, with a bar": lambda: scan_over_words("50 590 160 625"),
}
"""Each hides `MARK`."""

LOOKS_ALIKE: dict[str, Callable[[], Drawing]] = {
    "a scan's words": lambda: scan(MARK),
    "a scan drawn over its words": lambda: scan_over_words(""),
    "a bar beside a scan's words": lambda: scan(MARK, "300 590 400 625"),
    "light grey": lambda: Drawing(CONTROL + ".8 g " + HIDDEN),
    "white on a dark box": lambda: Drawing(CONTROL + "0 g " + BOX + "1 g " + HIDDEN),
    "white on a dark picture": lambda: picture(
        b"\x20", 1, 1, CONTROL + "q 100 0 0 30 50 590 cm /I Do Q 1 g " + HIDDEN
    ),
    "black on a photograph": lambda: picture(
        bytes(128 + level // 2 for level in noise(100, 30)),
        100,
        30,
        CONTROL + "q 100 0 0 30 50 590 cm /I Do Q 0 g " + HIDDEN,
    ),
    "red on green of the same grey": lambda: Drawing(CONTROL + "0 .5 0 rg " + BOX + "1 0 0 rg " + HIDDEN),
    "small print": lambda: Drawing(CONTROL + text(MARK, size=4.5)),
    "large": lambda: Drawing(CONTROL + text(MARK, size=90)),
    "condensed": lambda: Drawing(CONTROL + text(MARK, before="50 Tz")),
    "spaced out": lambda: Drawing(CONTROL + text(MARK, before="4 Tc")),
    "aslant": lambda: Drawing(CONTROL + f"BT /F 12 Tf .8 .6 -.6 .8 60 500 Tm ({MARK}) Tj ET"),
    "upwards": lambda: Drawing(CONTROL + f"BT /F 12 Tf 0 1 -1 0 60 500 Tm ({MARK}) Tj ET"),
    "upside down": lambda: Drawing(CONTROL + f"BT /F 12 Tf -1 0 0 -1 160 500 Tm ({MARK}) Tj ET"),
    "a turned page": lambda: Drawing(CONTROL + HIDDEN, page="/Rotate 90"),
    "a page that begins elsewhere": lambda: Drawing(CONTROL + HIDDEN, page="/CropBox[20 300 500 760]"),
    "outlines": lambda: Drawing(CONTROL + text(MARK, before="1 Tr 0 G")),
    "within a clip": lambda: Drawing(CONTROL + f"q 0 580 600 60 re W n {HIDDEN} Q"),
    "on a layer that is on": lambda: layer("/ON[6 0 R]"),
    "in a form": lambda: Drawing(CONTROL + "/X Do", "/XObject<</X 6 0 R>>", (form(HIDDEN),)),
    "a font of shapes": lambda: type3("600 0 0 0 500 700 d1 0 0 500 700 re f"),
    "half seen through": lambda: Drawing(CONTROL + "/G gs " + HIDDEN, "/ExtGState<</G<</ca .3>>>>"),
    "highlighted": lambda: Drawing(CONTROL + HIDDEN + "/G gs 1 1 0 rg " + BOX, "/ExtGState<</G<</BM/Multiply>>>>"),
    "in a table with grounds": lambda: Drawing(CONTROL + ".9 g " + BOX + "0 g 0 G 50 590 100 30 re S " + HIDDEN),
    "struck out": lambda: Drawing(CONTROL + HIDDEN + "0 G 1 w 50 604 m 150 604 l S"),
    "underlined": lambda: Drawing(CONTROL + HIDDEN + "0 G 1 w 50 598 m 150 598 l S"),
    "over a watermark": lambda: Drawing(CONTROL + ".85 g " + text("DRAFT", x=40, y=580, size=60) + "0 g " + HIDDEN),
    "bold by drawing it twice": lambda: Drawing(CONTROL + HIDDEN + text(MARK, x=60.3)),
    "with a shadow": lambda: Drawing(CONTROL + ".7 g " + text(MARK, x=61, y=599) + "0 g " + HIDDEN),
    "marked as an artifact": lambda: Drawing(CONTROL + f"/Artifact BMC {HIDDEN} EMC"),
    "beside a note": lambda: annotated("Square", "1 0 0 RG 1 1 98 28 re S"),
    "words that say what is shown": lambda: Drawing(CONTROL + f"/Span<</ActualText({MARK})>>BDC {HIDDEN} EMC"),
}
"""Each shows `MARK`."""


def scan_over_words(bar: str) -> Drawing:
    """A scan that is drawn over its words, instead of words that are invisible."""
    under = scan(MARK, bar, mode="0 Tr")
    drawn, words = under.content.split(" Q ", 1)
    return Drawing(f"{words} {drawn} Q", under.resources, under.objects)
