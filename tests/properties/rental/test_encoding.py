"""What must hold for any object on the wire: CBOR gives it back with its hash, and refuses the rest."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hireling.rental.batch import ReadingBatch, run_of_batch
from hireling.rental.ceiling import Ceiling, SignedCeiling, sign_ceiling
from hireling.rental.encoding import from_cbor, is_cbor, parse, to_cbor
from hireling.rental.errors import Malformed
from hireling.rental.reading import ClockQuality, Reading, ReadingEvent, Sample, SignedReading, reading_hash
from hireling.rental.typed_data import Domain, hash_struct
from tests.builders import DOMAIN, RENTER_AGENT_KEY, a_reading_chain

CHAIN = a_reading_chain(50)
WIRE = to_cbor(CHAIN[7])


def uint(bits: int) -> st.SearchStrategy[int]:
    """Return whole numbers of so many bits, small and large ones alike."""
    return st.integers(0, (1 << bits) - 1) | st.integers(0, 300) | st.just((1 << bits) - 1)


@st.composite
def signed_readings(draw: st.DrawFn) -> SignedReading:
    """Return any reading that parses, whether or not it could ever count."""
    sample = Sample(
        previous=draw(st.binary(min_size=32, max_size=32)),
        counters=tuple(draw(st.lists(uint(256), max_size=16))),
        boot=draw(st.binary(min_size=32, max_size=32)),
        monotonic_ms=draw(uint(64)),
        wall_ms=draw(uint(64)),
        clock=draw(st.sampled_from(ClockQuality)),
        event=draw(st.sampled_from(ReadingEvent)),
        flags=draw(uint(32)),
    )
    reading = Reading(
        rental_id=draw(st.binary(min_size=32, max_size=32)),
        seq=draw(uint(64)),
        amount_due=draw(uint(96)),
        last=draw(st.booleans()),
        sample=sample,
    )
    domain = Domain(chain_id=draw(uint(256)), escrow=draw(st.binary(min_size=20, max_size=20)))
    return SignedReading(domain=domain, reading=reading, signature=draw(st.binary(max_size=128)))


class TestRoundTrip:
    @given(signed=signed_readings())
    def test_of_a_reading_keeps_it_and_its_hash(self, signed: SignedReading) -> None:
        again = parse(SignedReading, to_cbor(signed))
        assert again == signed == parse(SignedReading, signed.model_dump_json().encode())
        assert type(again.reading.sample.event) is type(signed.reading.sample.event)
        assert reading_hash(again.reading) == reading_hash(signed.reading)
        assert again.model_dump_json() == signed.model_dump_json()

    @given(claimable=uint(96), acknowledged=uint(96), hashed=st.binary(min_size=32, max_size=32))
    def test_of_a_ceiling_keeps_it_and_its_hash(
        self, claimable: int, acknowledged: int, hashed: bytes
    ) -> None:
        ceiling = Ceiling(
            rental_id=bytes(32), max_claimable=claimable, ack_amount=acknowledged, ack_reading=hashed
        )
        signed = sign_ceiling(RENTER_AGENT_KEY, DOMAIN, ceiling)
        again = parse(SignedCeiling, to_cbor(signed))
        assert again == signed
        assert hash_struct(again.ceiling) == hash_struct(ceiling)

    @pytest.mark.parametrize("size", [1, 2, 50])
    def test_of_a_batch_keeps_its_run(self, size: int) -> None:
        batch = ReadingBatch(readings=tuple(CHAIN[:size]))
        assert run_of_batch(parse(ReadingBatch, to_cbor(batch))) == run_of_batch(batch)


class TestTheWire:
    def test_holds_integers_bignums_and_byte_strings(self) -> None:
        large = CHAIN[3].reading.model_copy(update={"amount_due": 2**90})
        values = from_cbor(to_cbor(CHAIN[3].model_copy(update={"reading": large})))
        assert values["reading"]["amount_due"] == 2**90
        assert values["reading"]["seq"] == 3
        assert values["reading"]["rental_id"] == CHAIN[3].reading.rental_id
        assert bytes.fromhex("c24c0400000000") in to_cbor(CHAIN[3].model_copy(update={"reading": large}))

    def test_is_told_from_json_by_its_first_byte(self) -> None:
        assert is_cbor(WIRE)
        assert is_cbor(to_cbor(ReadingBatch(readings=tuple(CHAIN))))
        assert not any(is_cbor(each) for each in (b"", b"{}", b' {"a":1}', b"[]", b"rubbish"))

    def test_takes_little_more_than_half_of_jsons_bytes(self) -> None:
        for document in (CHAIN[7], ReadingBatch(readings=tuple(CHAIN))):
            assert len(to_cbor(document)) < 0.6 * len(document.model_dump_json())


class TestRefusal:
    @given(payload=st.binary(max_size=300).map(lambda rest: b"\xa3" + rest))
    def test_of_rubbish_that_looks_like_a_map(self, payload: bytes) -> None:
        with pytest.raises((Malformed, ValidationError)):
            parse(SignedReading, payload)

    @given(place=st.integers(0, len(WIRE) - 1), value=st.integers(0, 255))
    def test_of_any_altered_byte_or_another_object(self, place: int, value: int) -> None:
        altered = WIRE[:place] + bytes([value]) + WIRE[place + 1 :]
        try:
            found = parse(SignedReading, altered)
        except (Malformed, ValidationError):
            return
        # One object has one encoding.
        assert (found == CHAIN[7]) == (altered == WIRE)

    @given(length=st.integers(0, len(WIRE) - 1))
    def test_of_what_is_cut_off(self, length: int) -> None:
        with pytest.raises((Malformed, ValidationError)):
            parse(SignedReading, WIRE[:length])

    @given(
        tag=st.integers(0, 70_000) | st.integers(0, 2**64 - 1), value=st.integers() | st.binary() | st.text()
    )
    def test_of_every_tag_but_the_bignums(self, tag: int, value: Any) -> None:
        head = bytearray(cbor2.dumps(tag))
        head[0] |= 0xC0
        payload = b"\xa1\x61a" + bytes(head) + cbor2.dumps(value)
        if tag == 2 and isinstance(value, bytes):
            return
        with pytest.raises(Malformed):
            from_cbor(payload)

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (WIRE + b"\x00", "after its end"),
            (b"\xa1\x61a\x18\x05", "shortest form"),
            (b"\xa1\x61a\xc2\x41\x05", "shortest form"),
            (b"\xbf\x61a\x01\xff", "no CBOR"),
            (b"\xa1\x61a\x9f\x01\xff", "indefinite"),
            (b"\xa2\x61a\x01\x61a\x02", "Duplicate"),
            (b"\xa1\x01\x02", "text"),
            (b"\xa1\x41a\x02", "a key in CBOR is a text"),
            (b"\xa1\x61a\x61b", "no str"),
            (b"\xa1\x61a\xf6", "no NoneType"),
            (b"\xa1\x61a\xf9\x3c\x00", "no float"),
            (b"\xa1\x61a" * 40 + b"\x01", "depth"),
            (b"\xa1\x61a\x5b" + b"\xff" * 8, "premature end"),
        ],
    )
    def test_says_what_is_wrong(self, payload: bytes, reason: str) -> None:
        with pytest.raises(Malformed, match=reason):
            from_cbor(payload)

    @pytest.mark.parametrize(
        "change", [{"seq": True}, {"seq": -1}, {"seq": 2**64}, {"last": 1}, {"rental_id": b"short"}]
    )
    def test_of_values_out_of_their_type(self, change: dict[str, Any]) -> None:
        values = CHAIN[7].model_dump()
        values["reading"].update(change)
        with pytest.raises(ValidationError):
            parse(SignedReading, cbor2.dumps(values))
