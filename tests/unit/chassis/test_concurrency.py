"""Questions that greenlets ask at once."""

import eventlet
import pytest
from eventlet.greenpool import GreenPool

from services.chassis import concurrency
from services.chassis.concurrency import at_once


def test_all_answers_come_in_order_and_never_more_are_asked_than_allowed() -> None:
    asking, most = 0, 0

    def ask(number: int) -> int:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        eventlet.sleep(0.001 * (number % 3))
        asking -= 1
        return -number

    assert at_once(ask, range(20), most=4) == [-number for number in range(20)]
    assert most == 4


@pytest.mark.parametrize("questions", [1, 8, 9, 40])
def test_one_that_fails_leaves_nobody_waiting(
    questions: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pools: list[GreenPool] = []

    def pool(size: int) -> GreenPool:
        pools.append(GreenPool(size))
        return pools[-1]

    monkeypatch.setattr(concurrency, "GreenPool", pool)
    asked: list[int] = []

    def ask(number: int) -> None:
        eventlet.sleep(0)
        asked.append(number)
        if number == 0:
            raise LookupError("no answer")

    with pytest.raises(LookupError, match="no answer"):
        at_once(ask, range(questions), most=8)
    assert sorted(asked) == list(range(questions))
    assert [each.running() for each in pools] == [0]
    assert "Traceback" not in capsys.readouterr().err
