"""Why a file is not what its name says, or says nothing of what is read."""

from app.core.formats import OLE, Format, by_name, by_name_or_pdf
from ingest.reading.kinds import kind_of, reason_of_kind
from ingest.reading.reasons import FileError, Reason

LOCKED = "EncryptedPackage".encode("utf-16-le")
"""The stream that holds an Office's file with a password ([MS-OFFCRYPTO] 2.3.4.4): its name in the directory."""


def stated_format(name: str, data: bytes) -> Format:
    """The format that the name states; one that states none stands for a PDF. Raises `FileError` if it isn't so."""
    stated = by_name_or_pdf(name)
    if stated.fits(data) and stated.lists_part(data):
        return stated
    if stated.magic and data.startswith(OLE):
        raise FileError(Reason.ENCRYPTED if LOCKED in data else Reason.OLD_OFFICE)
    if by_name(name) is None and kind_of(name):
        raise FileError(reason_of_kind(name))
    raise FileError(Reason.NOT_A_PDF if stated.magic else Reason.DAMAGED)
