"""Batches of readings: what one signature and the chain prove, and what breaks it."""

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from hireling.rental.batch import MOST_IN_BATCH, ReadingBatch, batch_wire, run_of_batch
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import SignedReading, measured, reading_hash
from hireling.rental.signing import P256Key, Secp256k1Key
from hireling.rental.typed_data import Domain
from tests.builders import DOMAIN, METER_KEY, a_p256_key, a_reading_chain

READINGS = a_reading_chain(10)


def refusal_of(readings: Sequence[SignedReading]) -> str:
    """Return the code by which a batch of these readings is refused."""
    with pytest.raises(ReadingRefused) as caught:
        run_of_batch(ReadingBatch(readings=tuple(readings)))
    return caught.value.code


def with_sample(signed: SignedReading, **changes: object) -> SignedReading:
    """Return a reading whose sample somebody altered on the way."""
    sample = signed.reading.sample.model_copy(update=changes)
    return signed.model_copy(update={"reading": signed.reading.model_copy(update={"sample": sample})})


class TestRunOfBatch:
    @pytest.mark.parametrize("key", [METER_KEY, a_p256_key("meter")], ids=["secp256k1", "P-256"])
    def test_names_the_signer_of_the_last_reading(self, key: Secp256k1Key | P256Key) -> None:
        readings = a_reading_chain(5, meter_key=key)
        run = run_of_batch(ReadingBatch(readings=readings))
        assert run.signer == key.identity
        assert run.readings == tuple(measured(signed.reading) for signed in readings)
        assert run.hashes == tuple(reading_hash(signed.reading) for signed in readings)

    def test_needs_no_signature_but_the_last(self) -> None:
        bare = [signed.model_copy(update={"signature": b""}) for signed in READINGS[:4]]
        assert run_of_batch(ReadingBatch(readings=(*bare, READINGS[4]))).signer == METER_KEY.identity
        run = run_of_batch(
            ReadingBatch(readings=(*READINGS[:4], READINGS[4].model_copy(update={"signature": b""})))
        )
        assert run.signer is None
        assert "0 bytes" in run.fault

    def test_travels_in_the_very_bytes_of_its_readings(self) -> None:
        wire = batch_wire([signed.model_dump_json() for signed in READINGS])
        batch = ReadingBatch.model_validate_json(wire)
        assert batch.readings == READINGS
        assert batch.model_dump_json() == wire

    def test_is_broken_by_one_altered_sample(self) -> None:
        altered = with_sample(READINGS[4], counters=(9, 9))
        assert refusal_of([*READINGS[:4], altered, *READINGS[5:]]) == "broken_chain"

    def test_with_its_last_sample_altered_is_signed_by_nobody_known(self) -> None:
        altered = with_sample(READINGS[4], counters=(9, 9))
        assert run_of_batch(ReadingBatch(readings=(*READINGS[:4], altered))).signer != METER_KEY.identity

    def test_is_broken_by_another_order_and_by_a_missing_reading(self) -> None:
        assert refusal_of(READINGS[::-1]) == "gap"
        assert refusal_of([*READINGS[:3], *READINGS[4:]]) == "gap"

    def test_holds_readings_of_one_rental_and_one_domain(self) -> None:
        elsewhere = READINGS[1].model_copy(update={"domain": Domain(chain_id=1, escrow=DOMAIN.escrow)})
        assert refusal_of([READINGS[0], elsewhere]) == "wrong_domain"
        other = READINGS[1].reading.model_copy(update={"rental_id": b"\x01" * 32})
        assert (
            refusal_of([READINGS[0], READINGS[1].model_copy(update={"reading": other})]) == "unknown_rental"
        )

    def test_holds_at_least_one_reading_and_at_most_a_hundred(self) -> None:
        for readings in ((), READINGS[:1] * (MOST_IN_BATCH + 1)):
            with pytest.raises(ValidationError):
                ReadingBatch(readings=readings)
