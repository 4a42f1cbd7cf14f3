"""File names as each kind of client writes them: all come out as the same name, and no oddity is an error."""

import pytest

from app.documents.filenames import sent_filename

HEAD = b"form-data; name=files; "
WAYS = {
    "browsers, curl and httpx: UTF-8": 'filename="Prüfung.pdf"'.encode(),
    "Latin-1": 'filename="Prüfung.pdf"'.encode("latin-1"),
    "aiohttp: percent-encoded": b'filename="Pr%C3%BCfung.pdf"',
    ".NET: encoded word and filename*": (
        b"filename=\"=?utf-8?B?UHLDvGZ1bmcucGRm?=\"; filename*=utf-8''Pr%C3%BCfung.pdf"
    ),
    "older .NET: an encoded word, base64": b'filename="=?utf-8?B?UHLDvGZ1bmcucGRm?="',
    "an encoded word, quoted-printable": b'filename="=?ISO-8859-1?Q?Pr=FCfung.pdf?="',
    "encoded words, cut within a letter": b'filename="=?utf-8?B?UHLD?= =?utf-8?B?vGZ1bmcucGRm?="',
    "older requests: filename* alone": b"filename*=utf-8''Pr%C3%BCfung.pdf",
    "filename* before filename": b"filename*=UTF-8'de'Pr%C3%BCfung.pdf; filename=\"Pr_fung.pdf\"",
    "filename* between quotes": b"filename*=\"utf-8''Pr%c3%bcfung.pdf\"",
    "filename* in Latin-1": b"FILENAME*=iso-8859-1''Pr%FCfung.pdf",
    "filename* not escaped": "filename*=utf-8''Prüfung.pdf".encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_is_not_ascii_is_the_same_however_it_is_written(way: str) -> None:
    assert sent_filename(HEAD + WAYS[way]) == "Prüfung.pdf"


@pytest.mark.parametrize(
    ("sent", "name"),
    [(b'filename="100%.pdf"', "100%.pdf"), (b'filename="a%20b%22.pdf"', "a%20b%22.pdf"),
     (b'filename="%FC.pdf"', "%FC.pdf"), ('filename="ü%C3%BC.pdf"'.encode(), "ü%C3%BC.pdf"),
     (b'filename="=?utf-8?B?U?="', "=?utf-8?B?U?="), (b'filename="=?utf-8?B?/w==?="', "=?utf-8?B?/w==?="),
     (b'filename="=?rot13?Q?a?="', "=?rot13?Q?a?="), (b'filename="see =?utf-8?Q?a?="', "see =?utf-8?Q?a?="),
     (b"filename=a.pdf; filename*=utf-8''%FF.pdf", "a.pdf"), (b"filename=a.pdf; filename*=utf-8''", "a.pdf"),
     (b"filename=a.pdf; filename*=zip''b.pdf", "a.pdf"), (b"filename=a.pdf; filename*=b.pdf", "a.pdf"),
     (b"filename=\"a; filename*=utf-8''b.pdf\"", "a; filename*=utf-8''b.pdf"),
     (b'filename="a\\"; filename*=utf-8\'\'b.pdf"', "a\"; filename*=utf-8''b.pdf"),
     (b'filename=""', ""), (b"filename", ""), (b"filename*=utf-8''%FF", "")],
)  # fmt: skip
def test_what_is_not_an_encoding_that_can_be_read_stays_as_it_was_sent(sent: bytes, name: str) -> None:
    assert sent_filename(HEAD + sent) == name


@pytest.mark.parametrize("disposition", [None, b"", b"form-data", b"form-data; name=files"])
def test_a_part_without_a_file_name_is_no_file(disposition: bytes | None) -> None:
    assert sent_filename(disposition) is None
