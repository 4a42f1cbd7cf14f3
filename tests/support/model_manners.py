"""How servers of OpenAI's protocol send an answer, odd habits from public complaints about them: one table.

Each manner says what stands in the message of an answer in one piece, and in the deltas of a streamed one, and how
either goes over the wire. The model server's knob `manner=NAME` takes them by name.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

Json = dict[str, object]

THOUGHT = "Okay, the user asks. Let me think: sEcReT "
"""What no reader may see. "sEcReT" stands in no source."""


def same(body: bytes) -> bytes:
    """`body` as it is."""
    return body


@dataclass(frozen=True)
class Manner:
    """One habit.

    `writes`: what the model writes where the answer would be, streamed character by character, and so cut at every
    place; `content` is put there in its place. `beside` stands beside it in the message or in deltas of its own.
    """

    writes: Callable[[str], str] = str
    content: Callable[[str], object] = str
    beside: Json | None = None
    finish: str | None = "stop"
    finish_with_text: bool = False
    index: Json | None = None
    usage: Json | None = None
    has_usage: bool = True
    body: Json | None = None
    """Instead of any answer."""
    raw: bytes | None = None
    """Instead of any body."""
    event: Callable[[bytes], bytes] = lambda data: b"data: " + data + b"\n\n"
    before: bytes = b""
    ending: bytes = b"data: [DONE]\n\n"
    pack: Callable[[bytes], bytes] = same
    encoding: bytes | None = None
    content_type: bytes | None = None

    def whole(self, answer: str, envelope: Json, usage: Json) -> bytes:
        """The body of an answer in one piece."""
        message = {"role": "assistant", "content": self.content(self.writes(answer)), **(self.beside or {})}
        choice = {**self._index, "message": message, "finish_reason": self.finish}
        plain = {**envelope, "object": "chat.completion", "choices": [choice], "usage": self._usage(usage)}
        return self.pack(self._begin + orjson.dumps(plain if self.body is None else self.body))

    def streamed(self, answer: str, envelope: Json, usage: Json) -> bytes:
        """The body of a streamed answer."""
        if self.body is not None:
            return self.pack(self._begin + self.event(orjson.dumps(self.body)) + self.ending)
        chunk = {**envelope, "object": "chat.completion.chunk"}
        choices = list(self._choices(self.writes(answer)))
        events = [orjson.dumps({**chunk, "choices": [choice]}) for choice in choices]
        if self.has_usage:
            events.append(orjson.dumps({**chunk, "choices": [], "usage": self._usage(usage)}))
        return self.pack(self._begin + self.before + b"".join(map(self.event, events)) + self.ending)

    def _choices(self, text: str) -> Iterable[Json]:
        yield self._choice({"role": "assistant", "content": ""})
        if self.beside:
            yield self._choice(self.beside)
        last = len(text) - 1
        for at, character in enumerate(text):
            reason = self.finish if self.finish_with_text and at == last else None
            yield self._choice({"content": self.content(character)}, reason)
        if self.finish is not None and not self.finish_with_text:
            yield self._choice({}, self.finish)

    def _choice(self, delta: Json, reason: str | None = None) -> Json:
        return {**self._index, "delta": delta, "finish_reason": reason}

    @property
    def _index(self) -> Json:
        return {"index": 0} if self.index is None else self.index

    @property
    def _begin(self) -> bytes:
        return self.raw or b""

    def _usage(self, usage: Json) -> Json | None:
        return usage if self.usage is None else self.usage.get("usage", usage)  # type: ignore[return-value]


def nothing(_: str) -> str:
    """No text at all."""
    return ""


def null(_: str) -> None:
    """The null that stands where a text would."""


def deflated(body: bytes) -> bytes:
    """Without zlib's header, as some servers understand "deflate"."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def around(before: str, after: str = "") -> Manner:
    """One that writes something before and behind the answer."""
    return Manner(writes=lambda answer: f"{before}{answer}{after}")


HARMONY = f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>"
TOOL_CALL: Json = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

SILENT: Any = {"event": lambda _: b"", "ending": b""}
"""No events at all."""

MANNERS: dict[str, Manner] = {
    # Nothing
    "null": Manner(content=null),
    "empty": Manner(writes=nothing),
    "blank": Manner(writes=lambda _: " \n\t\n "),
    "only_reasoning": Manner(writes=nothing, content=null, beside={"reasoning_content": THOUGHT}),
    "only_reasoning_vllm": Manner(writes=nothing, content=null, beside={"reasoning": THOUGHT}),
    "only_tool_calls": Manner(content=null, beside={"tool_calls": [TOOL_CALL]}, finish="tool_calls"),
    "no_choices": Manner(body={"object": "chat.completion", "choices": []}),
    "length_in_thought": Manner(writes=nothing, beside={"reasoning_content": THOUGHT}, finish="length"),
    "think_cut": Manner(writes=lambda _: f"<think>{THOUGHT}", finish="length"),
    "think_never_closed": Manner(writes=lambda answer: f"<think>{THOUGHT}{answer}"),
    "thoughts_alone": Manner(writes=lambda _: f"<think>{THOUGHT}</think>\n"),
    # Errors in a 200
    "error_object": Manner(body={"object": "error", "message": "it broke", "type": "E", "param": None, "code": 500}),
    "error_object_400": Manner(body={"object": "error", "message": "no", "type": "BadRequestError", "code": 400}),
    "error_text": Manner(body={"error": "it broke"}),
    "error": Manner(body={"error": {"message": "it broke", "type": "server_error", "code": None}}),
    "error_rate": Manner(body={"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
    "html": Manner(raw=b"<!doctype html><title>Sign in</title>", content_type=b"text/html", body={}, **SILENT),
    # Bytes
    "bom": Manner(raw=b"\xef\xbb\xbf"),
    "gzip": Manner(pack=gzip.compress, encoding=b"gzip"),
    "x_gzip": Manner(pack=gzip.compress, encoding=b"x-gzip"),
    "zlib": Manner(pack=zlib.compress, encoding=b"deflate"),
    "deflate": Manner(pack=deflated, encoding=b"deflate"),
    "gzip_cut": Manner(pack=lambda body: gzip.compress(body)[:-20], encoding=b"gzip"),
    "crlf": Manner(event=lambda data: b"data: " + data + b"\r\n\r\n", ending=b"data: [DONE]\r\n\r\n"),
    "no_space": Manner(event=lambda data: b"data:" + data + b"\n\n", ending=b"data:[DONE]\n\n"),
    "no_done": Manner(ending=b""),
    "no_last_newline": Manner(ending=b"data: [DONE]"),
    "keepalive": Manner(event=lambda data: b": keepalive\n\ndata: " + data + b"\n\n", before=b": OPENROUTER\n\n"),
    "event_names": Manner(event=lambda data: b"event: message\nid: 1\nretry: 5\ndata: " + data + b"\n\n"),
    # Fields
    "parts": Manner(content=lambda text: [{"type": "text", "text": text}]),
    "thinking_parts": Manner(
        content=lambda text: [
            {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
            {"type": "text", "text": text},
        ]
    ),
    "reasoning_beside": Manner(beside={"reasoning_content": THOUGHT}),
    "reasoning_beside_vllm": Manner(beside={"reasoning": THOUGHT}),
    "usage_null": Manner(usage={"usage": None}),
    "usage_missing": Manner(has_usage=False),
    "index_missing": Manner(index={}),
    "finish_with_text": Manner(finish_with_text=True),
    "finish_never": Manner(finish=None),
    "finish_never_and_no_done": Manner(finish=None, ending=b""),
    # Cut off
    "length": Manner(finish="length"),
    "max_tokens": Manner(finish="max_tokens"),
    "MAX_TOKENS": Manner(finish="MAX_TOKENS"),
    "model_length": Manner(finish="model_length"),
    "length_with_text": Manner(finish="length", finish_with_text=True),
    # Held back
    "safety": Manner(finish="SAFETY"),
    # Thoughts
    "think": around(f"<think>{THOUGHT}</think>"),
    "think_lines": around(f"<think>\n{THOUGHT}\n</think>\n\n"),
    "think_empty": around("<think>\n\n</think>\n\n"),
    "think_unopened": around(f"{THOUGHT}\n</think>\n\n"),
    "unopened": around(f"{THOUGHT}\n</think>\n\n"),
    "think_unopened_inline": around(f"{THOUGHT}</think>"),
    "unopened_and_unlike_thoughts": around("sEcReT harbour times are to be found.\n</think>\n\n"),
    "thinking": around(f"<thinking>{THOUGHT}</thinking>"),
    "reasoning": around(f"<reasoning>{THOUGHT}</reasoning>\n"),
    "harmony": around(HARMONY, "<|return|>"),
    "mistral": around(f"[THINK]{THOUGHT}[/THINK]"),
    "kimi": around(f"◁think▷{THOUGHT}◁/think▷"),
    "cohere": around(f"<|START_THINKING|>{THOUGHT}<|END_THINKING|>"),
    "think_and_answer": around(f"<think>{THOUGHT}</think><answer>", "</answer>"),
    # Marks of roles and ends
    "im_end": around("", "<|im_end|>"),
    "im_start": around("<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\nsEcReT?"),
    "assistant": around("<|assistant|>\n", "<|end|>"),
    "eot_id": around("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    "s": around("<s>", "</s>"),
    "inst": around("[/INST] ", "</s>[INST] sEcReT? [/INST]"),
    "gemma": around("<start_of_turn>model\n", "<end_of_turn>\n<start_of_turn>user\nsEcReT?"),
    "deepseek": around("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),  # noqa: RUF001  that is how they are written
}
