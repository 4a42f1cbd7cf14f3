"""What chat clients ask for themselves, told from what their users ask."""

import pytest

from app.core.contract import TASK_MAX_CHARACTERS
from app.routes.openai.client_tasks import LEFT_OUT, Said, question_in, task_of

CHAT = "<chat_history>\nUSER: Where is the anchor?\nASSISTANT: With the warden. [1]\n</chat_history>"
TITLE = f"### Task:\nGive this chat a title.\n### Output:\nJSON format\n### Chat History:\n{CHAT}"
COMPLETION = (
    f"### Task:\nYou complete texts.\n### Context:\n{CHAT}\n"
    "<type>search query</type>\n<text>The anch</text>\n#### Output:\n"
)
FILES = "### Task:\nRespond to the query.\n\n<context>\n<source>Keep dry. </chat_history></source>\n</context>\n"
ASKED = "How long is the warranty?"

TASKS: dict[str, list[Said]] = {
    "Open WebUI's title": [("user", TITLE)],
    "below a system prompt": [("system", "Be brief."), ("user", TITLE)],
    "its completion, whose text stands behind the chat": [("user", COMPLETION)],
    "its emoji": [
        ("user", "Your task is to reflect the speaker's likely facial expression through one. Message: ```hm```")
    ],
    "its merged answers": [("user", 'You have been provided with a set of responses from various models to "?" …')],
    "its choice of tools": [("system", "Available Tools: []\nChoose."), ("user", "Query: what is the weather?")],
    "LibreChat's title": [
        ("user", "Provide a concise, 5-word-or-less title for the conversation, using its language.")
    ],
    "LibreChat's agents' title": [("user", "Analyze this conversation and provide: 1. The detected language")],
    "NextChat's title": [
        ("user", ASKED),
        ("assistant", "Two years. [1]"),
        ("user", "Please generate a four to five word title summarizing our conversation without punctuation."),
    ],
    "NextChat's memory": [
        ("user", ASKED),
        ("assistant", "Two years."),
        ("system", "Summarize the discussion briefly."),
    ],
    "Chatbox's name": [("user", "Based on the chat history, give this conversation a name.\nKeep it short.")],
    "Cherry Studio's title": [
        ("system", "You are an assistant skilled in conversation. You need to summarize it into a title."),
        ("user", ASKED),
    ],
    "n8n's title": [
        ("system", "Generate a concise, descriptive title for this conversation based on the user's message."),
        ("user", ASKED),
    ],
}

QUESTIONS: dict[str, list[Said]] = {
    "a question": [("user", ASKED)],
    "a heading": [("user", f"### Task:\n{ASKED}")],
    "one behind a chat": [("user", f"### Task:\nAnswer.\n{CHAT}\n{ASKED}")],
    "one behind files": [("user", f"{FILES}{ASKED}")],
    "one about a title": [("user", "Who has the title of harbour master in this conversation with the board?")],
    "one about a chat": [("user", "Give me the name of the chairman in the board's discussion.")],
    "a summary of a document": [("user", "Summarize the discussion in the minutes of May.")],
    "one about tools": [("user", "Available tools: which ones does the manual name?")],
    "a task before it": [("user", TITLE), ("assistant", '{"title": "Anchor"}'), ("user", ASKED)],
    "rules of a caller": [("system", "Answer as a pilot would."), ("user", ASKED)],
    "nothing": [],
}


@pytest.mark.parametrize("said", TASKS.values(), ids=TASKS)
def test_a_client_asks_for_itself(said: list[Said]) -> None:
    task = task_of(said)
    assert task is not None
    assert said[-1][1].strip() in task


@pytest.mark.parametrize("said", QUESTIONS.values(), ids=QUESTIONS)
def test_a_user_asks(said: list[Said]) -> None:
    assert task_of(said) is None


@pytest.mark.parametrize(
    ("header", "is_task"),
    [
        ("title_generation", True),
        ("TASKS.FOLLOW_UP_GENERATION", True),
        ("function_calling", True),
        ("{{TASK}}", False),
        ("", False),
        ("chat", False),
        ("x" * 10_000 + "_generation", False),
        (None, False),
    ],
)
def test_open_webui_says_it_where_its_operator_has_asked_for_that(header: str | None, *, is_task: bool) -> None:
    assert (task_of([("user", ASKED)], header) == ASKED) is is_task


def test_a_task_that_comes_last_has_the_chat_with_it() -> None:
    task = task_of(TASKS["NextChat's title"])
    assert task is not None
    assert task.startswith(f"<chat_history>\nUSER: {ASKED}\nASSISTANT: Two years. [1]\n</chat_history>\n\nPlease")


def test_what_is_too_long_loses_its_middle() -> None:
    task = task_of([("user", TITLE.replace("USER:", "USER: " + "word " * TASK_MAX_CHARACTERS))])
    assert task is not None
    assert len(task) <= TASK_MAX_CHARACTERS
    assert task.startswith("### Task:\nGive this chat a title.")
    assert task.endswith("[1]\n</chat_history>")
    assert LEFT_OUT in task


@pytest.mark.parametrize(
    "text",
    [
        f"{FILES}{ASKED}",
        f"{FILES}\n<user_query>\n{ASKED}\n</user_query>\n",
        f"{FILES.replace('dry', '</context>')}{ASKED}",
    ],
)
def test_files_before_a_question_are_not_the_question(text: str) -> None:
    assert question_in(text) == ASKED


@pytest.mark.parametrize("text", [ASKED, f"What does </context> mean? {ASKED}", f"### Task: {ASKED}", FILES])
def test_any_other_question_is_all_there_is(text: str) -> None:
    assert question_in(text) == text
