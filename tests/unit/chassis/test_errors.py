"""services.messages.errors: what crosses processes arrives as what it was."""

import pytest
from nameko.exceptions import serialize

from services.messages.errors import ERRORS, CallerError, HirelingError, NotFound, OutcomeUnknown, Unavailable


class TestHirelingError:
    """The root of the tree."""

    @pytest.mark.parametrize("kind", ERRORS.values())
    def test_survives_namekos_wire_with_types_of_its_fields(self, kind: type[HirelingError]) -> None:
        sent = kind(
            "some_code", "a sentence", amount="12", tries=3, open=True, nothing=None, rows=[1, {"a": 2}]
        )
        wire = serialize(sent)
        assert wire["exc_type"] == kind.__name__
        back = ERRORS[wire["exc_type"]].from_wire(wire["exc_args"][0])
        assert type(back) is kind
        assert (back.code, back.detail, back.fields) == (sent.code, sent.detail, sent.fields)

    def test_says_code_and_detail(self) -> None:
        assert str(NotFound("no_device", "no device 0x01")) == "no_device: no device 0x01"

    def test_refuses_a_wire_text_of_another_shape(self) -> None:
        with pytest.raises(ValueError, match="not a NotFound on the wire"):
            NotFound.from_wire('{"code": "a"}')

    def test_refuses_fields_that_are_no_json(self) -> None:
        with pytest.raises(TypeError):
            NotFound("no_device", "no device", device=object())

    def test_is_split_by_who_must_act(self) -> None:
        assert issubclass(NotFound, CallerError)
        assert not issubclass(Unavailable, CallerError)
        assert not issubclass(OutcomeUnknown, Unavailable), "unknown is not undone"
