"""The fast way to a run and the models' way agree: on what is a reading, on its hash, on who signed it."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hireling.rental.batch import ReadingBatch, batch_wire, run_of_batch
from hireling.rental.canonical_reading import run_in_batch, run_in_reading
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingEvent,
    ReadingRun,
    Sample,
    SignedReading,
    run_of_one,
    sign_reading,
)
from hireling.rental.signing import Signer
from hireling.rental.typed_data import Domain
from tests.builders import METER_KEY, a_p256_key, a_reading_chain

CHAIN = a_reading_chain(8)
KEYS = (METER_KEY, a_p256_key("meter"))


def integers(bits: int) -> st.SearchStrategy[int]:
    """Draw integers of a width, its ends often."""
    return st.integers(0, 2**bits - 1) | st.sampled_from([0, 1, 2**bits - 1]) | st.integers(0, 1_000)


WORDS = st.binary(min_size=32, max_size=32)
SAMPLES = st.builds(
    Sample,
    previous=WORDS,
    counters=st.lists(integers(256), max_size=16).map(tuple),
    boot=WORDS,
    monotonic_ms=integers(64),
    wall_ms=integers(64),
    clock=st.sampled_from(ClockQuality),
    event=st.sampled_from(ReadingEvent),
    flags=integers(32),
)
READINGS = st.builds(
    Reading, rental_id=WORDS, seq=integers(64), amount_due=integers(96), last=st.booleans(), sample=SAMPLES
)
DOMAINS = st.builds(Domain, chain_id=integers(256), escrow=st.binary(min_size=20, max_size=20))


def by_the_models(text: str) -> ReadingRun | None:
    """Return the run that the models find in a text, or None where they refuse it."""
    try:
        if text.startswith('{"readings"'):
            return run_of_batch(ReadingBatch.model_validate_json(text))
        return run_of_one(SignedReading.model_validate_json(text))
    except (ValidationError, ReadingRefused):
        return None


def by_the_fast_way(text: str) -> ReadingRun | None:
    """Return the run that the fast way finds in a text."""
    return run_in_batch(text) if text.startswith('{"readings"') else run_in_reading(text)


def check_agree(text: str) -> None:
    """Assert that the fast way finds nothing, or what the models find."""
    found = by_the_fast_way(text)
    if found is not None:
        assert found == by_the_models(text)


class TestReading:
    @given(reading=READINGS, domain=DOMAINS, key=st.sampled_from(KEYS))
    def test_is_the_same_run_both_ways(self, reading: Reading, domain: Domain, key: Signer) -> None:
        signed = sign_reading(key, domain, reading)
        check_agree(signed.model_dump_json())

    def test_of_usual_size_takes_the_fast_way(self) -> None:
        for signed in CHAIN:
            assert run_in_reading(signed.model_dump_json()) == run_of_one(signed)

    @given(data=st.data())
    def test_altered_anywhere_is_the_same_run_or_left_to_the_models(self, data: st.DataObject) -> None:
        wire = data.draw(st.sampled_from(CHAIN)).model_dump_json()
        place = data.draw(st.integers(0, len(wire)))
        cut = data.draw(st.integers(0, 3))
        inserted = data.draw(
            st.text(max_size=3) | st.sampled_from(['"', "0", "-0", " ", "\n", "٣", "A", "0x"])
        )
        check_agree(wire[:place] + inserted + wire[place + cut :])

    @given(layout=st.sampled_from([{"indent": 1}, {"separators": (", ", ":")}, {"sort_keys": True}]))
    def test_in_another_layout_is_left_to_the_models(self, layout: dict[str, object]) -> None:
        text = json.dumps(CHAIN[1].model_dump(mode="json"), **layout)  # type: ignore[arg-type]
        assert run_in_reading(text) is None
        assert by_the_models(text) == run_of_one(CHAIN[1])


class TestBatch:
    def test_is_the_same_run_both_ways(self) -> None:
        for start in range(len(CHAIN)):
            text = batch_wire([signed.model_dump_json() for signed in CHAIN[start:]])
            found = run_in_batch(text)
            assert found is not None
            assert found == by_the_models(text)

    @given(
        picked=st.lists(st.sampled_from(CHAIN), max_size=5) | st.permutations(CHAIN),
        separator=st.sampled_from([",", ",", ";", ",,", ""]),
        tail=st.sampled_from(["]}", "]}", "],}", "]} ", ",]}", "]"]),
    )
    def test_of_any_readings_is_the_same_run_or_left_to_the_models(
        self, picked: Sequence[SignedReading], separator: str, tail: str
    ) -> None:
        wires = separator.join(signed.model_dump_json() for signed in picked)
        check_agree('{"readings":[' + wires + tail)

    def test_of_too_many_is_left_to_the_models(self) -> None:
        wires = [signed.model_dump_json() for signed in a_reading_chain(101)]
        assert run_in_batch(batch_wire(wires[:100])) is not None
        assert run_in_batch(batch_wire(wires)) is None
