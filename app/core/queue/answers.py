"""Answers that are kept, to be given again to the same question while its collection is what it was.

An answer stands under a hash of all that it depends on: tenant, question, filters, settings, the code that makes it.
Beside it stands the version that its collection had (`app.core.queue.versions`): once that is raised it is never
found again, so nobody has to think of what a change makes wrong. See docs/decisions/kept-answers.md.
"""

import hashlib
import json
import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core.contract import AnswerJob, AnswerResult, Cached, Timings, Usage
from app.core.queue.scripts import ANSWER_BYTES_MAX, LOOKING, VERSION
from app.core.settings import Settings
from app.core.version import VERSION as RELEASE

ANSWERS_MAX = 2_000
"""Kept answers of one tenant; beyond, the oldest go: some 10 MB."""

SETTINGS = (
    "answer_instructions", "chat_model", "context_tokens", "embedding_base_url", "embedding_model", "fusion",
    "fusion_dense_weight", "has_chat_model", "openai_base_url", "qdrant_collection", "rerank_model", "rerank_url",
    "rrf_k", "top_k",
)  # fmt: skip
"""Settings that an answer depends on. A test has all others, each with why it does not."""
NOT_ASKED = frozenset({"request_id", "cache", "session_id"})
"""Fields of a question that its answer does not depend on. The worker, which knows what was said before,
looks for one in a conversation without the name of that."""

LOOK = LOOKING + "return look(KEYS[1], KEYS[2], KEYS[3], KEYS[4])"
"""KEYS: those of the version, the answer. What `LOOKING` finds."""

KEEP = (
    VERSION
    + f"""
if version(KEYS[1], KEYS[2], KEYS[3]) ~= ARGV[1] then return 0 end
local kept = redis.pcall('HSET', KEYS[4], 'version', ARGV[1], 'answer', ARGV[2], 'job', ARGV[3])
if type(kept) ~= 'number' then return kept end
redis.call('EXPIRE', KEYS[4], ARGV[4])
redis.call('ZADD', KEYS[5], string.format('%.0f', moment()), ARGV[5])
redis.call('EXPIRE', KEYS[5], ARGV[4])
local over = redis.call('ZCARD', KEYS[5]) - {ANSWERS_MAX}
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[5], over)
  for i = 1, #oldest, 2 do redis.call('DEL', ARGV[6] .. oldest[i]) end
end
if redis.call('EXISTS', KEYS[6]) == 1 then redis.call('HSET', KEYS[6], 'kept', ARGV[5]) end
return 1
"""
)
"""KEYS: those of the version, the answer, the tenant's answers, the job. ARGV: the version that the answer was made
at, the answer, job id, seconds to keep it, the question's hash, what the tenant's keys begin with."""


NOTE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'kept', ARGV[1]) end"
"""KEYS: a job. ARGV: the hash under which the answer is kept that it was given: both go with the job."""


def is_kept(job: object, settings: Settings) -> bool:
    """Whether the answer of such a question may be looked for or kept."""
    if settings.answer_cache_ttl_seconds == 0 or type(job) is not AnswerJob:
        return False
    return job.cache != "off" and job.session_id is None


def fingerprint(job: AnswerJob, settings: Settings) -> str:
    """A hash of all that the answer depends on, but for the collection's content."""
    asked = job.model_dump(mode="json", exclude=set(NOT_ASKED))
    asked["query"] = " ".join(unicodedata.normalize("NFC", job.query).split())
    return hashlib.sha256(json.dumps([asked, _made_by(settings)], sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=16)
def _made_by(settings: Settings) -> list[Any]:
    return [RELEASE, _code(), {name: getattr(settings, name) for name in SETTINGS}]


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the code that makes answers, prompt and all: nobody has to raise a number. The API only reads it."""
    found = find_spec("worker")
    code = hashlib.sha256()
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent
        for path in sorted(folder.rglob("*.py")):
            code.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return code.hexdigest()


def answers_prefix(tenant: str) -> str:
    """What the keys of a tenant's answers begin with; the question's hash follows."""
    return f"rag:answer:{tenant}/"


def answers_key(tenant: str) -> str:
    """The key of the hashes of a tenant's answers, by when they were kept."""
    return f"rag:answers:{tenant}"


def packed(mark: str, result: AnswerResult, question: str) -> bytes | None:
    """The answer to `question` as it is kept; None when it is none to be kept: cut off, given before, or too long."""
    if result.finish_reason != "stop" or result.cached is not None:
        return None
    whole = result.model_copy(update={"cached_question": question})
    body = mark.encode() + b"\n" + whole.model_dump_json().encode()
    return body if len(body) <= ANSWER_BYTES_MAX else None


def unpacked(mark: str, body: object, cached: Cached = "exact") -> AnswerResult | None:
    """The answer that is kept under `mark`, as it is given again: at no cost. None for what is none of ours."""
    if not isinstance(body, bytes) or len(body) > ANSWER_BYTES_MAX or not body.startswith(mark.encode() + b"\n"):
        return None
    try:
        kept = AnswerResult.model_validate_json(body[len(mark) + 1 :])
    except ValidationError:
        return None
    return given_again(kept, cached)


def given_again(result: AnswerResult, cached: Cached = "exact") -> AnswerResult:
    """The answer as another question gets it: it took no time and no tokens. The same one knows what it has asked."""
    nothing = Timings(queued=0, retrieval=0, generation=0, total=0)
    again = {"cached": cached, "usage": Usage(), "timings_ms": nothing}
    return result.model_copy(update=again if cached == "semantic" else again | {"cached_question": None})
