"""A model of fastembed's in this process's memory: made once, loaded beside whatever else the process does.

Its files are those of a folder (LOCAL_MODEL_PATH), which asks no network; else fastembed downloads them at the first
start and keeps them under DATA_DIR.
"""

import os
import threading
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger
from worker.runtime.interrupts import own_calls

if TYPE_CHECKING:
    from fastembed import TextEmbedding

THREADS_MAX = 4
"""Threads of one run at most: a small model gains little from more."""
LOADING_SECONDS_MAX = 600.0
"""How long a call waits for the model's files, which may come over a slow line; a question's job ends before."""
POLL_SECONDS = 0.2
"""Between two looks whether a job that waits for the model is to end."""
NAMES_SHOWN = 3
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Of onnxruntime 1.32, which else tells mobile.events.data.microsoft.com that it was imported, and more."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
"""What every model of fastembed's has beside its weights (its `load_tokenizer`)."""

log = get_logger(__name__)

_lock = threading.Lock()
_sessions: dict[tuple[str, Path | None, Path], "LocalSession"] = {}


def session_of(name: str, folder: Path | None, cache: Path) -> "LocalSession":
    """This process's session of the model; the first call makes it. Raises `ConfigurationError` as it does."""
    with _lock:
        found = _sessions.get((name, folder, cache))
        if found is None:
            found = _sessions[name, folder, cache] = LocalSession(name, folder, cache)
        return found


def threads() -> int:
    """Of one run: half of the machine's cores, so that two runs leave room for what else a worker does."""
    return max(1, min(THREADS_MAX, (os.cpu_count() or 1) // 2))


class LocalSession:
    """The model called `name`, from `folder`, or from `cache` and what fastembed downloads into it.

    Raises `ConfigurationError` when fastembed knows no such model, or `folder` has not its files.
    """

    def __init__(self, name: str, folder: Path | None, cache: Path) -> None:
        self._files = _files_of(name)
        self._name = name
        self._folder = folder
        self._cache = cache
        if folder is not None:
            self._check(folder)
        self._model: TextEmbedding | None = None
        self._starting = threading.Lock()
        self._loading: threading.Thread | None = None
        self.passages_turn = threading.Lock()
        self.questions_turn = threading.Lock()
        self._begun()

    def model(self) -> "TextEmbedding":
        """The model, when it is loaded.

        Raises `ServiceError` (MODEL_UNAVAILABLE) when that failed, or takes too long, or the calling thread's job is
        to end; the next call begins anew.
        """
        if self._model is not None:
            return self._model
        loading = self._begun()
        give_up = monotonic() + LOADING_SECONDS_MAX
        while loading.is_alive() and monotonic() < give_up and not own_calls().is_interrupted:
            loading.join(POLL_SECONDS)
        if self._model is None:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
        return self._model

    def _begun(self) -> threading.Thread:
        """The thread that loads the model; a process does not wait for it at its end."""
        with self._starting:
            if self._loading is None or not (self._loading.is_alive() or self._model is not None):
                self._loading = threading.Thread(target=self._load, name="local-model", daemon=True)
                self._loading.start()
            return self._loading

    def _load(self) -> None:
        from fastembed import TextEmbedding
        from loguru import logger

        logger.disable("fastembed")  # it tells terminals in its own way what stands here in ours
        began = monotonic()
        try:
            if self._folder is None:
                self._cache.mkdir(parents=True, exist_ok=True)
            self._model = TextEmbedding(
                self._name,
                cache_dir=str(self._cache),
                threads=threads(),
                providers=["CPUExecutionProvider"],
                enable_cpu_mem_arena=False,  # which keeps the memory of the largest batch for ever
                local_files_only=self._folder is not None,
                specific_model_path=None if self._folder is None else str(self._folder),
            )
        except Exception as error:  # whatever a download, a damaged file or ONNX has: the jobs are told
            log.warning("local_model_not_loaded", model=self._name, reason=type(error).__name__)
            return
        log.info("local_model_loaded", model=self._name, seconds=round(monotonic() - began, 1), threads=threads())

    def _check(self, folder: Path) -> None:
        missing = [name for name in (*self._files, *TOKENIZER) if not (folder / name).is_file()]
        if missing:
            raise ConfigurationError(f"LOCAL_MODEL_PATH: {folder} has no {missing[0]}, which {self._name} needs")


def _files_of(name: str) -> tuple[str, ...]:
    """Where the model has its weights, in one file or several, within its folder.

    Raises `ConfigurationError` for what fastembed lacks.
    """
    os.environ.setdefault(NO_TELEMETRY, "1")  # its own call to turn it off comes too late
    from fastembed import TextEmbedding

    known = {str(model["model"]).lower(): model for model in TextEmbedding.list_supported_models()}
    with suppress(KeyError):
        model = known[name.lower()]
        return (model["model_file"], *(model.get("additional_files") or ()))
    names = [str(model["model"]) for model in known.values()]
    near = ", ".join(get_close_matches(name, names, NAMES_SHOWN, 0.0))
    raise ConfigurationError(f"EMBEDDING_MODEL=local:{name} is none of fastembed's models; near it are {near}")
