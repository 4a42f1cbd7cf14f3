"""PDFs with forms and notes: a page of printed words, and annotations of any kind in any state.

Each annotation is a dictionary's body; its appearance, where it has one, draws words in Helvetica.
"""

from dataclasses import dataclass

from tests.security.hidden_pdfs import HELVETICA, PAGE_BOX, stream, text, written

PRINT = 4
"""The flag that most annotations have; it says nothing of screens."""


@dataclass(frozen=True)
class Annotated:
    """A page: its content, its annotations (`None` for an appearance of nothing), and the form's own entries."""

    content: str
    annotations: tuple[tuple[str, str | None], ...]
    form: str | None = ""
    catalog: str = ""
    objects: tuple[bytes, ...] = ()
    """More of the file's; the first has the number after the last appearance's."""

    def pdf(self) -> bytes:
        """The file. The first annotation has the number 6, its appearance the next, and so on in pairs."""
        numbers = [6 + 2 * at for at in range(len(self.annotations))]
        listed = " ".join(f"{number} 0 R" for number in numbers)
        widgets = " ".join(
            f"{number} 0 R"
            for number, (body, _) in zip(numbers, self.annotations, strict=True)
            if "/FT" in body or "/Kids" in body
        )
        form = "" if self.form is None else f"/AcroForm<</Fields[{widgets}]/DR<</Font<</Helv 5 0 R>>>>{self.form}>>"
        objects = []
        for number, (body, drawn) in zip(numbers, self.annotations, strict=True):
            look = f"/AP<</N {number + 1} 0 R>>" if drawn is not None and "/AP" not in body else ""
            objects += [f"<</Type/Annot{body.replace('@', str(number + 1))}{look}>>".encode(), _appearance(drawn)]
        page = (
            f"<</Type/Page/Parent 2 0 R/MediaBox{PAGE_BOX.decode()}/Contents 4 0 R/Annots[{listed}]"
            "/Resources<</Font<</F 5 0 R>>>>>>"
        )
        return written(
            f"<</Type/Catalog/Pages 2 0 R{form}{self.catalog}>>".encode(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            page.encode(),
            stream(self.content.encode("latin-1")),
            HELVETICA,
            *objects,
            *self.objects,
        )


def _appearance(drawn: str | None) -> bytes:
    size = "14 14" if drawn == TICK else "200 20"
    head = f"/Type/XObject/Subtype/Form/BBox[0 0 {size}]/Resources<</Font<</F 5 0 R>>>>"
    return stream((drawn or "").encode("latin-1"), head)


def words(shown: str, before: str = "") -> str:
    """An appearance of words."""
    return text(shown, x=2, y=5, size=10, before=before)


TICK = "0 G 2 w 2 2 m 12 12 l 2 12 m 12 2 l S"


def rect(y: float, x: float = 200, wide: float = 200, high: float = 20) -> str:
    """Where an annotation stands."""
    return f"/Rect[{x} {y} {x + wide} {y + high}]"


def field(kind: str, name: str, y: float, *, more: str = "", flags: int = PRINT, x: float = 200) -> str:
    """A field with its one widget, `kind` as /Tx."""
    return f"/Subtype/Widget/FT{kind}/T({name})/F {flags}{rect(y, x)}/DA(/Helv 10 Tf 0 g){more}"


def box(name: str, y: float, *, state: str = "Yes", more: str = "", flags: int = PRINT, x: float = 200) -> str:
    """A box that is ticked; its appearance, as what follows it, is for this state only."""
    look = f"/AP<</N<</{state} @ 0 R>>>>/AS/{state}/V/{state}"
    return f"/Subtype/Widget/FT/Btn/T({name})/F {flags}{rect(y, x, 14, 14)}{look}{more}"


def note(kind: str, y: float, *, more: str = "", flags: int = PRINT, x: float = 200) -> str:
    """An annotation that is no field."""
    return f"/Subtype/{kind}/F {flags}{rect(y, x)}{more}"
