"""Forms that stand in a PDF as XFA alone: its page says "Please wait...", and only Adobe's programs show the form."""

import re

import pypdfium2
import pypdfium2.raw as pdfium

WITH_XFA = (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND)
PAGES_MAX = 2
"""Of what is shown in the form's place: one page, everywhere."""
CHARACTERS_FEW = 200
"""On a page whose document says that it is to be drawn from its XFA: less is no form."""
ASKS_FOR_A_VIEWER = re.compile(r"(?i)please wait\b|\bAdobe\W{0,3}\s+(Acrobat|Reader)|\bAcrobat\W{0,3}\s+Reader")


def is_all_there_is(document: pypdfium2.PdfDocument) -> bool:
    """Whether a PDF's pages are not the form that is in it. Those of a static XFA form are."""
    kind = document.get_formtype()
    if kind not in WITH_XFA or len(document) > PAGES_MAX:
        return False
    page = document[0]
    try:
        if pdfium.FPDFPage_GetAnnotCount(page.raw) > 0:
            return False
        words = page.get_textpage()
        try:
            text = words.get_text_range(0, min(2 * CHARACTERS_FEW * 10, words.count_chars()))
        finally:
            words.close()
    finally:
        page.close()
    is_short = len("".join(text.split())) < CHARACTERS_FEW
    return bool(ASKS_FOR_A_VIEWER.search(text)) or (kind == pdfium.FORMTYPE_XFA_FULL and is_short)
