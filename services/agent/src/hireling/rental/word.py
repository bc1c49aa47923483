"""The base of what travels and is not signed."""

from pydantic import BaseModel, ConfigDict


class Word(BaseModel):
    """The base of what nobody signs: frozen, and a reader ignores what it does not know."""

    model_config = ConfigDict(frozen=True)
