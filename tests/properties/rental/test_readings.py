"""What must hold for any way in which readings arrive, and for any change to one."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import Reading, ReadingChain, Sample, SignedReading, reading_hash
from hireling.rental.tariff import price
from hireling.rental.typed_data import Domain
from tests.builders import DOMAIN, METER_KEY, a_reading_chain, signed_agreement

RENTAL = signed_agreement()
COUNT = 12
READINGS = a_reading_chain(COUNT, signed=RENTAL)
HASHES = {signed.reading.seq: reading_hash(signed.reading) for signed in READINGS}


def an_empty_chain() -> ReadingChain:
    return ReadingChain(rental_id=RENTAL.rental_id, meter=METER_KEY.identity, domain=DOMAIN)


class Receiver:
    """The least that a receiver does.

    It offers each message to the chain, and remembers the hash of each number.
    """

    def __init__(self) -> None:
        self.chain = an_empty_chain()
        self.codes: set[str] = set()

    def receive(self, signed: SignedReading) -> None:
        seq = signed.reading.seq
        known = HASHES[seq] if seq < self.chain.next_seq else None
        try:
            self.chain = self.chain.accept(signed, known_hash=known)
        except ReadingRefused as error:
            self.codes.add(error.code)


def different(value: Any) -> Any:
    """Return a value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, tuple):
        return (*value[:-1], value[-1] + 1)
    return type(value)(value + 1 if int(value) == 0 else value - 1)


def mutations_of(signed: SignedReading) -> list[SignedReading]:
    """Return the reading with each of its fields changed, one at a time, under the old signature."""
    reading, sample = signed.reading, signed.reading.sample
    found = [
        reading.model_copy(update={name: different(getattr(reading, name))})
        for name in Reading.model_fields
        if name != "sample"
    ]
    for name in Sample.model_fields:
        altered = sample.model_copy(update={name: different(getattr(sample, name))})
        found.append(reading.model_copy(update={"sample": altered}))
    mutated = [signed.model_copy(update={"reading": each}) for each in found]
    mutated.append(signed.model_copy(update={"signature": different(signed.signature)}))
    for change in ({"chain_id": DOMAIN.chain_id + 1}, {"escrow": different(DOMAIN.escrow)}):
        domain = Domain.model_validate({**dict(DOMAIN), **change})
        mutated.append(signed.model_copy(update={"domain": domain}))
    return mutated


class TestDelivery:
    @given(st.lists(st.sampled_from(READINGS), max_size=60))
    @settings(max_examples=50)
    def test_in_any_order_and_number_then_resent_gives_the_same_chain(
        self, messages: list[SignedReading]
    ) -> None:
        receiver = Receiver()
        for signed in messages:
            receiver.receive(signed)
        for signed in READINGS:  # the device resends from the last acknowledgement
            receiver.receive(signed)
        assert receiver.chain.head_hash == HASHES[COUNT - 1]
        assert receiver.chain.last is not None
        assert receiver.chain.last.amount_due == READINGS[-1].reading.amount_due
        assert receiver.codes <= {"gap"}

    @given(st.sets(st.sampled_from(range(COUNT))))
    def test_losing_some_loses_nothing_but_what_comes_after_the_first_hole(self, lost: set[int]) -> None:
        receiver = Receiver()
        for signed in READINGS:
            if signed.reading.seq not in lost:
                receiver.receive(signed)
        assert receiver.chain.next_seq == min(lost, default=COUNT)

    def test_the_amount_needs_the_last_reading_only(self) -> None:
        last = READINGS[-1].reading
        assert price(RENTAL.offer.tariff, last.sample.counters) == last.amount_due


class TestMutation:
    @given(st.integers(min_value=0, max_value=COUNT - 1))
    @settings(max_examples=COUNT)
    def test_of_any_single_field_is_refused(self, at: int) -> None:
        chain = an_empty_chain()
        for signed in READINGS[:at]:
            chain = chain.accept(signed)
        for mutated in mutations_of(READINGS[at]):
            before = chain
            try:
                chain.accept(mutated)
            except ReadingRefused:
                assert chain == before
            else:
                raise AssertionError(f"accepted {mutated}")
        assert chain.accept(READINGS[at]) == chain.accept(READINGS[at])
