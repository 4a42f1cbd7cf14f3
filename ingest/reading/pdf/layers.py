"""Whether an annotation's layer is shown. pdfium draws annotations on any layer, and does not say on which."""

from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject


class Layers:
    """A PDF's layers as they are when it is opened. Its methods raise nearly anything."""

    def __init__(self, data: bytes) -> None:
        self._reader = PdfReader(BytesIO(data))
        if self._reader.is_encrypted:
            self._reader.decrypt("")
        default = _dictionary(_dictionary(self._reader.root_object.get("/OCProperties")).get("/D"))
        self._is_off_unless_named = default.get("/BaseState") == "/OFF"
        self._named = {_number(one) for one in _list(default.get("/ON" if self._is_off_unless_named else "/OFF"))}

    def shows(self, page: int, annotation: int) -> bool:
        """Whether annotation number `annotation` of a page, both from 0, is on a layer that is shown."""
        notes = _list(self._reader.pages[page].get("/Annots"))
        return self._is_on(_dictionary(notes[annotation]).raw_get("/OC"))

    def _is_on(self, layer: Any) -> bool:
        members = _dictionary(layer)
        if members.get("/Type") != "/OCMD":
            return (_number(layer) in self._named) == self._is_off_unless_named
        if "/VE" in members:
            return False  # an expression, which nobody was seen to use: unsure is not seen
        named = members.raw_get("/OCGs") if "/OCGs" in members else ArrayObject()
        are_on = [self._is_on(one) for one in (_list(named) or [named])]
        policy = members.get("/P", "/AnyOn")
        return {
            "/AllOn": all(are_on),
            "/AnyOff": not all(are_on),
            "/AllOff": not any(are_on),
        }.get(policy, any(are_on))


def _dictionary(value: Any) -> DictionaryObject:
    found = value.get_object() if value is not None else None
    return found if isinstance(found, DictionaryObject) else DictionaryObject()


def _list(value: Any) -> list[Any]:
    found = value.get_object() if value is not None else None
    return list(found) if isinstance(found, ArrayObject) else []


def _number(value: Any) -> int:
    return value.idnum if isinstance(value, IndirectObject) else -1
