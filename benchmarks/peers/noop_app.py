"""What POST /chat is held against: a FastAPI route that takes a body and does nothing."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Question(BaseModel):
    """A question, of which nothing becomes."""

    query: str


@app.post("/noop", status_code=202)
async def noop(question: Question) -> dict[str, str]:
    """Nothing."""
    return {"status": "none"}
