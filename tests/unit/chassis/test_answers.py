"""services.chassis.answers: an answer is read as it was written, or handed on unread."""

import json

import pytest

from services.chassis.answers import result_of, text_of, written
from services.chassis.rows import WrittenJson
from services.messages.errors import NotFound, OperatorError

NOT_FOUND = {
    "exc_type": "NotFound",
    "exc_path": "services.messages.errors.NotFound",
    "exc_args": list(NotFound("nothing_there", "nothing is there").args),
    "value": "nothing is there",
}
RESULTS: list[object] = [
    None,
    0,
    "",
    [],
    {"items": [1, "\u00fc"], "next": None},
    {"error": None},
    ', "error": null}',
]


class TestAnswers:
    @pytest.mark.parametrize("result", RESULTS)
    def test_a_result_is_read_as_it_was(self, result: object) -> None:
        envelope = written(result, None).encode()
        assert json.loads(envelope) == {"result": result, "error": None}
        assert result_of(envelope, "porter.open") == result
        assert json.loads(text_of(envelope, "porter.open")) == result

    def test_written_json_travels_as_it_is(self) -> None:
        text = '{"b":1,   "a":"\u00fc"}'
        envelope = written(WrittenJson(text), None).encode()
        assert text_of(envelope, "porter.open").decode() == text
        assert result_of(envelope, "porter.open") == {"a": "\u00fc", "b": 1}

    @pytest.mark.parametrize("read", [result_of, text_of])
    def test_an_error_is_raised(self, read: object) -> None:
        assert callable(read)
        with pytest.raises(NotFound, match="nothing is there"):
            read(written(None, NOT_FOUND).encode(), "porter.open")

    def test_an_error_that_ends_like_a_result_is_raised(self) -> None:
        error = {"exc_type": "Bug", "exc_path": "builtins.Bug", "value": "broke", "error": None}
        with pytest.raises(OperatorError, match=r"porter\.open failed: Bug"):
            text_of(written(None, error).encode(), "porter.open")

    def test_another_writers_spaces_change_nothing(self) -> None:
        assert json.loads(text_of(b'{"error":null,"result":[1]}', "porter.open")) == [1]
