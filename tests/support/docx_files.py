"""Makes .docx of the XML that Word writes, with the parts that a test is about."""

import zipfile
from io import BytesIO

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def docx(body: str, *, core: str = "", main: str = "word/document.xml", **parts: str) -> bytes:
    """A document with this body; `parts` are others by their kind: styles, numbering, footnotes, header, footer."""
    folder, name = main.rsplit("/", 1)
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("_rels/.rels", _relations(("officeDocument", main)))
        package.writestr(main, f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
        own = _relations(*((kind, f"{kind}.xml") for kind in parts))
        package.writestr(f"{folder}/_rels/{name}.rels", own)
        for kind, xml in parts.items():
            root = {"header": "hdr", "footer": "ftr"}.get(kind, kind)
            package.writestr(f"{folder}/{kind}.xml", f"<w:{root} {NAMESPACES}>{xml}</w:{root}>")
        if core:
            title = f'<dc:title xmlns:dc="http://purl.org/dc/elements/1.1/">{core}</dc:title>'
            package.writestr("docProps/core.xml", f"<core>{title}</core>")
    return made.getvalue()


def _relations(*relations: tuple[str, str]) -> str:
    each = "".join(f'<Relationship Id="{kind}" Type="{TYPES}/{kind}" Target="{part}"/>' for kind, part in relations)
    return f'<Relationships xmlns="{RELATIONS}">{each}</Relationships>'


def p(*runs: str, properties: str = "") -> str:
    """A paragraph of runs: those that are no XML are words."""
    own = f"<w:pPr>{properties}</w:pPr>" if properties else ""
    return f"<w:p>{own}{''.join(one if one.startswith('<') else r(one) for one in runs)}</w:p>"


def r(words: str, properties: str = "") -> str:
    """A run of words."""
    own = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{own}<w:t xml:space="preserve">{words}</w:t></w:r>'


def high(words: str) -> str:
    """A raised run."""
    return r(words, '<w:vertAlign w:val="superscript"/>')


def low(words: str) -> str:
    """A lowered run."""
    return r(words, '<w:vertAlign w:val="subscript"/>')


def table(*rows: str, properties: str = "") -> str:
    """A table of rows."""
    return f"<w:tbl><w:tblPr>{properties}</w:tblPr>{''.join(rows)}</w:tbl>"


def row(*cells: str, properties: str = "") -> str:
    """A row of cells: those that are no XML are words."""
    own = f"<w:trPr>{properties}</w:trPr>" if properties else ""
    return f"<w:tr>{own}{''.join(one if one.startswith('<') else cell(p(one)) for one in cells)}</w:tr>"


def cell(blocks: str, properties: str = "") -> str:
    """A cell of paragraphs and the like."""
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{blocks}</w:tc>"


def numbered(words: str, level: int = 0, list_id: int = 1) -> str:
    """A paragraph of a list."""
    return p(words, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')


def numbering(*levels: tuple[str, str], more: str = "") -> str:
    """A list (1) whose levels are of a kind and show a text."""
    each = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:lvlText w:val="{shown}"/></w:lvl>'
        for at, (kind, shown) in enumerate(levels)
    )
    return (
        f'<w:abstractNum w:abstractNumId="0">{each}</w:abstractNum>'
        f'<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>{more}'
    )
