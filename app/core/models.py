"""What every model of this project is made from."""

from pydantic import BaseModel, ConfigDict

HIDDEN = ConfigDict(hide_input_in_errors=True)
"""What is wrong is told by `errors()`, to whoever sent it; the text of an error goes to logs, where no value belongs.
"""


class QuietModel(BaseModel):
    """A model whose errors, as text, do not hold what it was given: questions, addresses and secrets."""

    model_config = HIDDEN
