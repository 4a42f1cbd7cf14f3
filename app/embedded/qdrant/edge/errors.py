"""What a request is refused with, each with its HTTP status."""


class ApiError(Exception):
    """A refusal with the HTTP status that it travels under."""

    status = 500


class BadInputError(ApiError):
    """The request cannot be understood."""

    status = 400

    def __init__(self, what: str) -> None:
        super().__init__(f"Wrong input: {what}")


class NotFoundError(ApiError):
    """The collection or point is not there."""

    status = 404

    def __init__(self, what: str) -> None:
        super().__init__(f"Not found: {what}")


class ConflictError(ApiError):
    """There is one of that name already."""

    status = 409

    def __init__(self, what: str) -> None:
        super().__init__(f"Wrong input: {what}")


class NotSupportedError(ApiError):
    """Qdrant can do this, the embedded one does not."""

    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"Not supported by the embedded Qdrant: {what}. Run a Qdrant server and set QDRANT_URL")
