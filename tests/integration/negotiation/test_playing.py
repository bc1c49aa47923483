"""Moves that came over MQTT, where the database fails under them."""

import json
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from services.messages.errors import OutcomeUnknown, Unavailable
from services.negotiation.playing import Player
from services.negotiation.sitting import Sitting
from services.negotiation.wire import Letter, Mover, open_move
from tests.builders import NOW
from tests.integration.negotiation.table import Sides, Table

BUG = ZeroDivisionError()
FAILED = OperationalError("SELECT 1", {}, Exception("the server gave up"))


def first_offer(sides: Sides) -> Letter:
    """Return the owner's first offer as it comes."""
    device = sides.device.device
    move = {"ref": "1", "quote_id": sides.quote_id, **sides.first_offer}
    letter = open_move(Mover(device, device), json.dumps(move).encode(), largest=16_384)
    assert isinstance(letter, Letter)
    return letter


@pytest.mark.parametrize(
    ("failures", "raised"),
    [
        ([FAILED], OperationalError),
        ([BUG, Unavailable("database_unreachable", "gone")], Unavailable),
        ([BUG, OutcomeUnknown("commit_unknown", "gone while committing")], OutcomeUnknown),
        ([BUG, FAILED], OutcomeUnknown),
    ],
)
def test_a_failing_database_answers_nothing_and_all_is_played_again(
    table: Table, monkeypatch: pytest.MonkeyPatch, failures: list[Exception], raised: type[Exception]
) -> None:
    write, left = Sitting.write, list(failures)

    def failing(sitting: Sitting) -> None:
        if left:
            raise left.pop(0)
        write(sitting)

    monkeypatch.setattr(Sitting, "write", failing)
    player = Player(table.database, hold=timedelta(seconds=60))
    letters = [first_offer(table.sit_down())]
    with pytest.raises(raised):
        player.play(letters, now=NOW)
    assert not left
    assert [answer["outcome"] for answer in player.play(letters, now=NOW)] == ["done"]
