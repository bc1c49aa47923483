"""The answer to what never becomes a request: no server in front of the application brings one of its own."""

from werkzeug.exceptions import default_exceptions

from services.gateway.hygiene import dressed
from services.gateway.problems import problem_of_http


def answer_of(status: int, detail: str | None) -> bytes:
    """Return a whole answer, after which the connection is closed."""
    response = dressed(problem_of_http(default_exceptions[status](detail)))
    response.headers["Connection"] = "close"
    head = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + response.get_data()
