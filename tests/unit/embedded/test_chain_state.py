"""The development chain's state: a half that a kill left is replaced by the last whole copy."""

from pathlib import Path

import pytest

from services.embedded.chain_state import COPY_EVERY, ChainState

WHOLE, LATER = b'{"block": 1, "text": "}"}', b'{"block": 2, "text": "}"}'


@pytest.fixture
def state(tmp_path: Path) -> ChainState:
    """Return a chain's state that was whole when it was last looked at."""
    state = ChainState(tmp_path / "state.json")
    state.path.write_bytes(WHOLE)
    state.keep(monotonic=0.0)
    return state


@pytest.mark.parametrize("left", [b"", LATER[:9], LATER[:23], LATER[:-1]])
def test_a_half_is_replaced(state: ChainState, left: bytes) -> None:
    state.path.write_bytes(left)
    state.keep(monotonic=COPY_EVERY)
    assert state.mend()
    assert state.path.read_bytes() == WHOLE


def test_what_is_whole_stays(state: ChainState) -> None:
    state.path.write_bytes(LATER)
    assert not state.mend()
    assert state.path.read_bytes() == LATER


def test_a_copy_is_made_every_few_seconds(state: ChainState) -> None:
    state.path.write_bytes(LATER)
    state.keep(monotonic=COPY_EVERY - 1)
    assert state.copy.read_bytes() == WHOLE
    state.keep(monotonic=COPY_EVERY)
    assert state.copy.read_bytes() == LATER


def test_before_there_is_a_chain_nothing_is_mended(tmp_path: Path) -> None:
    state = ChainState(tmp_path / "state.json")
    state.keep(monotonic=0.0)
    assert not state.mend()
    assert not state.copy.exists()
