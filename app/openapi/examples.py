"""An example of each thing that the API answers, for its OpenAPI document; a test holds each to its model."""

from typing import Any

JOB = "5f0c1a9be7d94c4e8f2b6a3d1c0e9f87"
TICKET = "WyJqb2IiLCJkZWZhdWx0Il0.q3ZtT2vN0c5Jx1m8"
DOCUMENT = "0b9f6a0e-58a1-5c1e-9d7c-3f2a7c1b6e55"
MOMENT = "2026-11-21T09:30:00Z"
QUOTE = "The pump is guaranteed for two years."

URLS = {
    "status": f"/job-status/{JOB}",
    "result": f"/result/{JOB}",
    "stream": f"/stream/{JOB}",
    "cancel": f"/jobs/{JOB}/cancel",
}
STATE: dict[str, Any] = {
    "job_id": JOB,
    "kind": "answer",
    "status": "queued",
    "position": 3,
    "attempt": 0,
    "stage": None,
    "progress": None,
    "enqueued_at": MOMENT,
    "started_at": None,
    "ended_at": None,
    "error": None,
}
FAILED: dict[str, Any] = STATE | {
    "status": "failed",
    "position": None,
    "attempt": 10,
    "started_at": MOMENT,
    "ended_at": MOMENT,
    "error": {
        "code": "model_timeout",
        "message": "The model did not answer in time. Ask again, or ask something shorter.",
        "retryable": True,
    },
}
RESULT: dict[str, Any] = {
    "answer": "For two years. [1]",
    "mode": "model",
    "grounded": True,
    "citations": [
        {
            "n": 1,
            "document_id": DOCUMENT,
            "filename": "pump-manual.pdf",
            "page": 12,
            "quote": QUOTE,
            "score": 0.83,
            "url": f"/documents/{DOCUMENT}/file#page=12",
        }
    ],
    "model": "gpt-4.1",
    "usage": {"input_tokens": 812, "output_tokens": 9},
    "cached": None,
    "cached_question": None,
    "retrieval": "hybrid",
    "standalone_question": None,
    "timings_ms": {"queued": 2.1, "retrieval": 6.4, "generation": 912.0, "total": 920.5},
}
CITED = {
    "start_index": 15,
    "end_index": 18,
    "title": "pump-manual.pdf, page 12",
    "url": f"http://localhost:8000/documents/{DOCUMENT}/file#page=12",
}
MODEL = {"id": "rag-queue:manuals", "object": "model", "created": 1_763_683_200, "owned_by": "rag-queue"}

CONVERSATION: dict[str, Any] = {
    "session_id": "desk-7",
    "title": "How long is the warranty?",
    "created_at": MOMENT,
    "used_at": MOMENT,
}
FILE: dict[str, Any] = {
    "id": f"file-{JOB}",
    "object": "file",
    "bytes": 118_201,
    "created_at": 1_763_683_200,
    "expires_at": 1_766_275_200,
    "filename": "questions.jsonl",
    "purpose": "batch",
    "status": "processed",
}
BATCH: dict[str, Any] = {
    "id": f"batch_{JOB}",
    "object": "batch",
    "endpoint": "/v1/responses",
    "errors": None,
    "input_file_id": f"file-{JOB}",
    "completion_window": "24h",
    "status": "in_progress",
    "output_file_id": None,
    "error_file_id": None,
    "created_at": 1_763_683_200,
    "in_progress_at": 1_763_683_202,
    "expires_at": 1_763_769_600,
    "finalizing_at": None,
    "completed_at": None,
    "failed_at": None,
    "expired_at": None,
    "cancelling_at": None,
    "cancelled_at": None,
    "request_counts": {"total": 50_000, "completed": 1_250, "failed": 1},
    "metadata": {"run": "nightly"},
}
EXAMPLES: dict[str, Any] = {
    "JobAccepted": {"job_id": JOB, "status": "queued", "position": 3, "expires_at": MOMENT, "urls": URLS},
    "JobState": STATE,
    "Ticket": {
        "ticket": TICKET,
        "expires_in": 600,
        "expires_at": MOMENT,
        "urls": {name: f"{URLS[name]}?ticket={TICKET}" for name in ("status", "result", "stream")},
    },
    "JobList": {"jobs": [FAILED | {"queue": "rag_queries"}], "next_cursor": f"1795350600:{JOB}"},
    "BulkDone": {
        "done": 499,
        "problems": [
            {
                "job_id": JOB,
                "type": "urn:problem:job-not-failed",
                "detail": "Only a job that has failed can be sent back.",
            }
        ],
        "next_cursor": None,
    },
    "Timeline": {
        "job_id": JOB,
        "kind": "answer",
        "queue": "rag_queries",
        "status": "started",
        "attempt": 1,
        "question": "How long is the warranty?",
        "steps": [
            {"name": "queued", "at": MOMENT, "since_ms": None, "attempt": 0},
            {"name": "started", "at": MOMENT, "since_ms": 2.1, "attempt": 1},
            {"name": "retrieved", "at": MOMENT, "since_ms": 6.4, "attempt": 1},
        ],
        "error": None,
    },
    "QueuesHistory": {
        "queues": [
            {
                "name": "rag_queries",
                "minutes": [
                    {
                        "at": MOMENT,
                        "finished": 1840,
                        "failed": 2,
                        "stopped": 5,
                        "retries": 3,
                        "input_tokens": 1_494_080,
                        "output_tokens": 16_560,
                    }
                ],
                "waiting_ms": {"p50": 2.1, "p95": 400.0},
                "total_ms": {"p50": 920.5, "p95": 2800.0},
            }
        ]
    },
    "UsageReport": {
        "from": "2026-11-01",
        "to": "2026-11-21",
        "usage": [
            {
                "day": "2026-11-21",
                "tenant": "acme",
                "model": "gpt-4.1",
                "answers": 1840,
                "input_tokens": 1_494_080,
                "output_tokens": 16_560,
                "cost_usd": 3.12064,
            }
        ],
        "total": {"answers": 1840, "input_tokens": 1_494_080, "output_tokens": 16_560, "cost_usd": 3.12064},
        "budget": {"limit": 2_000_000, "used": 1_510_640, "window": "month", "ends_at": "2026-12-01T00:00:00Z"},
    },
    "Feedback": {
        "job_id": JOB,
        "rating": "down",
        "comment": "That is the old edition.",
        "expected": "Three years.",
        "rated_at": MOMENT,
    },
    "HistoryPage": {
        "entries": [
            {
                "job_id": JOB,
                "session_id": "desk-7",
                "collection": "manuals",
                "status": "finished",
                "enqueued_at": MOMENT,
                "started_at": MOMENT,
                "ended_at": MOMENT,
                "model": "gpt-4.1",
                "input_tokens": 812,
                "output_tokens": 9,
                "cost_usd": 0.001696,
                "mode": "model",
                "grounded": True,
                "cached": None,
                "error": None,
                "question": "How long is the warranty?",
                "answer": RESULT["answer"],
                "citations": RESULT["citations"],
                "rating": "down",
                "comment": "That is the old edition.",
                "expected": "Three years.",
                "rated_at": MOMENT,
            }
        ],
        "next_cursor": f"1795253400000000:{JOB}",
    },
    "Workers": {
        "workers": [
            {
                "name": "5d41402abc4b2a76b9719d911017c592",
                "hostname": "host",
                "pid": 7,
                "queues": ["rag_queries", "rag_ingest"],
                "threads": 34,
                "busy": 2,
                "job_ids": [JOB],
                "started_at": MOMENT,
                "heartbeat_at": MOMENT,
            }
        ]
    },
    "JobResult": {"job_id": JOB, "status": "finished", "result": RESULT, "error": None},
    "Removed": {"removed": 12},
    "Session": {"tenant": "acme", "name": "anna", "role": "ingest", "expires_at": MOMENT},
    "Queues": {
        "queues": [
            {
                "name": "rag_queries",
                "queued": 3,
                "started": 32,
                "scheduled": 1,
                "finished": 1840,
                "failed": 2,
                "canceled": 5,
                "oldest_seconds": 0.4,
                "workers": [{"name": "host-7.rag_queries.0.1f2e3d4c", "state": "busy", "job_id": JOB}],
            }
        ],
        "budget": {
            "in_flight": 32,
            "concurrency": 64,
            "requests_per_minute": None,
            "tokens_per_minute": None,
            "paused_seconds": None,
        },
    },
    "Readiness": {"status": "ok", "checks": {"valkey": "ok", "workers": "ok", "queue": "ok", "qdrant": "ok"}},
    "Health": {"status": "ok"},
    "Root": {"name": "rag-queue", "version": "0.1.0", "status": "ok", "docs": "/docs", "ready": "/readyz"},
    "Model": MODEL,
    "ModelList": {"object": "list", "data": [MODEL]},
    "ChatCompletion": {
        "id": f"chatcmpl-{JOB}",
        "object": "chat.completion",
        "created": 1_763_683_200,
        "model": "rag-queue",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "For two years. [1]",
                    "annotations": [{"type": "url_citation", "url_citation": CITED}],
                },
            }
        ],
        "usage": {"prompt_tokens": 812, "completion_tokens": 9, "total_tokens": 821},
    },
    "ResponseObject": {
        "id": f"resp_{JOB}",
        "object": "response",
        "created_at": 1_763_683_200,
        "completed_at": None,
        "status": "queued",
        "background": True,
        "model": "rag-queue",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        "metadata": {},
    },
    "InputItemList": {
        "object": "list",
        "data": [
            {
                "type": "message",
                "id": f"msg_{JOB}_input",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "How long is the warranty?"}],
            }
        ],
        "first_id": f"msg_{JOB}_input",
        "last_id": f"msg_{JOB}_input",
        "has_more": False,
    },
    "EmbeddingList": {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    },
    "FileObject": FILE,
    "FileList": {
        "object": "list",
        "data": [FILE],
        "first_id": f"file-{JOB}",
        "last_id": f"file-{JOB}",
        "has_more": False,
    },
    "FileDeleted": {"id": f"file-{JOB}", "object": "file", "deleted": True},
    "BatchObject": BATCH,
    "BatchList": {
        "object": "list",
        "data": [BATCH],
        "first_id": f"batch_{JOB}",
        "last_id": f"batch_{JOB}",
        "has_more": False,
    },
    "ConversationObject": {"id": "conv_7", "object": "conversation", "created_at": 1_763_683_200, "metadata": {}},
    "ConversationDeleted": {"id": "conv_7", "object": "conversation.deleted", "deleted": True},
    "ConversationItemList": {
        "object": "list",
        "data": [
            {
                "type": "message",
                "id": f"msg_{JOB}_input",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "How long is the warranty?"}],
            }
        ],
        "first_id": f"msg_{JOB}_input",
        "last_id": f"msg_{JOB}_input",
        "has_more": False,
    },
    "ConversationList": {"conversations": [CONVERSATION | {"turns": 2}], "next_cursor": None},
    "ConversationView": CONVERSATION
    | {
        "turns": [
            {
                "job_id": JOB,
                "asked_at": MOMENT,
                "question": "And for wear parts?",
                "standalone_question": "How long is the warranty for wear parts?",
                "answer": "For one year. [1]",
                "citations": RESULT["citations"],
            }
        ]
    },
    "ResponseDeleted": {"id": f"resp_{JOB}", "object": "response", "deleted": True},
}
"""By the model's name."""

HISTORY = {
    "text/csv": "job_id,status,question,rating\r\n5f0c…,finished,How long is the warranty?,down\r\n",
    "application/jsonl": '{"job_id":"5f0c…","status":"finished","question":"How long is the warranty?",…}\n',
}
"""All of a chat log, shortened, by media type."""
STREAM = (
    'id: 0\nevent: job.queued\ndata: {"job_id":"5f0c…","position":1}\n\n'
    'id: 1\nevent: job.started\ndata: {"attempt":1}\n\n'
    'id: 2\nevent: answer.delta\ndata: {"text":"For two years."}\n\n'
    'id: 3\nevent: answer.completed\ndata: {"job_id":"5f0c…","status":"finished","result":{…}}\n\n'
)
OPENAI_STREAM = 'data: {"id":"chatcmpl-5f0c…","object":"chat.completion.chunk","choices":[…]}\n\ndata: [DONE]\n\n'
