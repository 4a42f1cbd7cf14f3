"""Books: a page a chapter, in the order of reading."""

import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import load
from ingest.reading.reasons import FileError, Reason
from tests.support.formats import epub


def test_a_chapter_is_a_page_in_the_order_of_reading() -> None:
    loaded = load(
        MediaType.EPUB,
        epub({"z.xhtml": "<p>first</p>", "a.xhtml": "<p>second</p>"}, opf="<dc:title>Otters</dc:title>"),
    )
    assert [(page.text or "").strip() for page in loaded.pages] == ["first", "second"]
    assert loaded.title == "Otters"


def test_a_chapter_is_called_by_its_heading() -> None:
    pages = load(MediaType.EPUB, epub({"one.xhtml": "<h1>The beginning</h1><p>a</p>"})).pages
    assert [(page.label, page.headings) for page in pages] == [("The beginning", ("The beginning",))]


NAV = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol><li><a href="one.xhtml">One</a></li>'
    '<li><a href="one.xhtml#later">Later</a></li></ol></nav></body></html>'
)
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>One</text></navLabel>'
    '<content src="one.xhtml"/></navPoint></navMap></ncx>'
)


@pytest.mark.parametrize(
    ("item", "name", "table"),
    [
        ('<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>', "nav.xhtml", NAV),
        ('<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>', "toc.ncx", NCX),
    ],
)
def test_a_chapter_is_called_as_the_table_of_contents_does(item: str, name: str, table: str) -> None:
    data = epub({"one.xhtml": "<h1>The beginning</h1>"}, opf=item, more={f"OEBPS/{name}": table})
    assert [page.label for page in load(MediaType.EPUB, data).pages] == ["One"]


@pytest.mark.parametrize(("uri", "is_locked"), [("OEBPS/one.xhtml", True), ("OEBPS/fonts/a.otf", False)])
def test_a_book_that_is_protected_against_copying_says_so_and_one_with_hidden_fonts_is_read(
    uri: str, is_locked: bool
) -> None:
    locks = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData xmlns="http://www.w3.org/'
        f'2001/04/xmlenc#"><CipherData><CipherReference URI="{uri}"/></CipherData></EncryptedData></encryption>'
    )
    data = epub({"one.xhtml": "<p>words</p>"}, more={"META-INF/encryption.xml": locks})
    if is_locked:
        with pytest.raises(FileError) as caught:
            load(MediaType.EPUB, data)
        assert caught.value.reason is Reason.ENCRYPTED
    else:
        assert (load(MediaType.EPUB, data).pages[0].text or "").strip() == "words"


@pytest.mark.parametrize(
    "name", ["../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://a.example/b"]
)
def test_a_name_that_leads_out_of_the_book_leads_nowhere(name: str) -> None:
    with pytest.raises(FileError) as caught:
        load(MediaType.EPUB, epub({name: "<p>words</p>"}).replace(b"OEBPS/" + name.encode(), b"x" * (6 + len(name))))
    assert caught.value.reason is Reason.DAMAGED
