"""How a document is identified. The command that ingests needs this, and not the catalog with its Valkey client."""

from uuid import UUID, uuid5

DOCUMENT_NAMESPACE = UUID("b9c0b8ad-5d0f-4e0b-8d8f-2f6e8c0c9b51")


def document_id(tenant: str, collection: str, source: str) -> str:
    """The id of the document of this name: the same for every version of its bytes.

    `source` is an upload's file name, or a path within an ingested folder. So the same name uploaded again replaces
    the document, and the same bytes under that name change nothing.
    """
    return uuid5(DOCUMENT_NAMESPACE, f"{tenant}\n{collection}\n{source}").hex
