"""Where files and batches of OpenAI's protocol stand in Valkey (`app.core.queue.batches`)."""


def file_key(tenant: str, file_id: str) -> str:
    """The key of a file's record."""
    return f"rag:file:{tenant}/{file_id}"


def files_key(tenant: str) -> str:
    """The key of the list of the tenant's files."""
    return f"rag:files:{tenant}"


def file_bytes_key(tenant: str) -> str:
    """The key of what the tenant's files have in all."""
    return f"rag:file-bytes:{tenant}"


def batch_key(tenant: str, batch_id: str) -> str:
    """The key of a batch."""
    return f"rag:batch:{tenant}/{batch_id}"


def batches_key(tenant: str) -> str:
    """The key of the list of the tenant's batches."""
    return f"rag:batches:{tenant}"


def lines_key(tenant: str, batch_id: str) -> str:
    """The key of a batch's lines that are being answered."""
    return f"rag:batch-lines:{tenant}/{batch_id}"


def parts_key(tenant: str, batch_id: str) -> str:
    """The key of the list of the parts of a batch's files."""
    return f"rag:batch-parts:{tenant}/{batch_id}"


def lock_key(tenant: str, batch_id: str) -> str:
    """The key of the lock of the process that brings a batch on."""
    return f"rag:batch-lock:{tenant}/{batch_id}"
