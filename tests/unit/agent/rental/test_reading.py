"""The chain of readings: what continues it, and why anything else is refused."""

from typing import Any

import pytest

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import (
    Reading,
    ReadingChain,
    ReadingEvent,
    SignedReading,
    check_rates,
    reading_hash,
    sign_reading,
)
from hireling.rental.typed_data import Domain
from tests.builders import (
    DOMAIN,
    METER_KEY,
    OWNER_KEY,
    a_listing,
    a_p256_key,
    a_reading_chain,
    a_request,
    an_offer,
    signed_agreement,
)

RENTAL = signed_agreement()
READINGS = a_reading_chain(6, signed=RENTAL)


def an_empty_chain() -> ReadingChain:
    return ReadingChain(rental_id=RENTAL.rental_id, meter=METER_KEY.identity, domain=DOMAIN)


def a_chain_of(count: int) -> ReadingChain:
    chain = an_empty_chain()
    for signed in READINGS[:count]:
        chain = chain.accept(signed)
    return chain


def changed(signed: SignedReading, *, sample: dict[str, Any] | None = None, **changes: Any) -> SignedReading:
    """Return the reading with changed members, signed by the meter again."""
    reading = signed.reading
    new_sample = {**dict(reading.sample), **(sample or {})}
    return sign_reading(
        METER_KEY, DOMAIN, Reading.model_validate({**dict(reading), "sample": new_sample, **changes})
    )


def refusal_of(chain: ReadingChain, signed: SignedReading, **arguments: Any) -> ReadingRefused:
    with pytest.raises(ReadingRefused) as refusal:
        chain.accept(signed, **arguments)
    return refusal.value


class TestAccept:
    def test_takes_a_whole_rental(self) -> None:
        chain = a_chain_of(6)
        assert chain.next_seq == 6
        assert chain.last == READINGS[-1].reading
        assert chain.head_hash == reading_hash(READINGS[-1].reading)

    def test_takes_a_meter_on_p_256(self) -> None:
        meter = a_p256_key("meter")
        listing = a_listing(meter_key=meter)
        rental = signed_agreement(offer=an_offer(listing=listing, request=a_request(listing=listing)))
        chain = ReadingChain(rental_id=rental.rental_id, meter=meter.identity, domain=rental.domain)
        for signed in a_reading_chain(3, signed=rental, meter_key=meter):
            chain = chain.accept(signed)
        assert chain.next_seq == 3

    def test_leaves_the_shorter_chain_as_it_was(self) -> None:
        chain = a_chain_of(2)
        chain.accept(READINGS[2])
        assert chain == a_chain_of(2)

    def test_goes_on_from_what_was_stored(self) -> None:
        resumed = ReadingChain.resumed(
            rental_id=RENTAL.rental_id, meter=METER_KEY.identity, domain=DOMAIN, last=READINGS[2].reading
        )
        assert resumed == a_chain_of(3)
        assert resumed.accept(READINGS[3]).next_seq == 4

    def test_takes_a_repeated_head_as_nothing_new(self) -> None:
        chain = a_chain_of(3)
        assert chain.accept(READINGS[2]) is chain

    def test_takes_a_repeated_older_one_by_its_stored_hash(self) -> None:
        chain = a_chain_of(3)
        assert chain.accept(READINGS[0], known_hash=reading_hash(READINGS[0].reading)) is chain


class TestRefusal:
    def test_of_another_domain(self) -> None:
        other = Domain(chain_id=1, escrow=DOMAIN.escrow)
        refusal = refusal_of(a_chain_of(2), sign_reading(METER_KEY, other, READINGS[2].reading))
        assert refusal.code == "wrong_domain"
        assert "chain 1 " in str(refusal)

    def test_of_another_domain_s_signature_under_this_domain_s_name(self) -> None:
        other = sign_reading(METER_KEY, Domain(chain_id=1, escrow=DOMAIN.escrow), READINGS[2].reading)
        assert refusal_of(a_chain_of(2), other.model_copy(update={"domain": DOMAIN})).code == "wrong_key"

    def test_of_another_rental(self) -> None:
        assert refusal_of(a_chain_of(2), changed(READINGS[2], rental_id=bytes(32))).code == "unknown_rental"

    def test_of_another_key(self) -> None:
        refusal = refusal_of(a_chain_of(2), sign_reading(OWNER_KEY, DOMAIN, READINGS[2].reading))
        assert refusal.code == "wrong_key"
        assert f"number 2 is signed by 0x{OWNER_KEY.identity.hex()}" in str(refusal)

    def test_of_no_signature(self) -> None:
        unsigned = READINGS[2].model_copy(update={"signature": b""})
        assert refusal_of(a_chain_of(2), unsigned).code == "wrong_key"

    def test_of_a_gap(self) -> None:
        refusal = refusal_of(a_chain_of(2), READINGS[3])
        assert (refusal.code, str(refusal)) == ("gap", "number 3 came where 2 is next")

    def test_of_a_number_with_other_content(self) -> None:
        assert refusal_of(a_chain_of(3), changed(READINGS[2], amount_due=7)).code == "conflicting_number"
        known = reading_hash(READINGS[1].reading)
        other = changed(READINGS[1], amount_due=7)
        assert refusal_of(a_chain_of(3), other, known_hash=known).code == "conflicting_number"

    def test_of_a_broken_chain(self) -> None:
        assert (
            refusal_of(a_chain_of(2), changed(READINGS[2], sample={"previous": bytes(32)})).code
            == "broken_chain"
        )

    def test_of_a_first_one_that_does_not_follow_from_the_rental(self) -> None:
        first = changed(READINGS[0], sample={"previous": bytes(32)})
        assert refusal_of(an_empty_chain(), first).code == "broken_chain"

    def test_of_anything_after_the_last(self) -> None:
        head = reading_hash(READINGS[5].reading)
        more = changed(READINGS[5], seq=6, sample={"previous": head})
        assert refusal_of(a_chain_of(6), more).code == "after_last"

    def test_of_a_counter_that_fell(self) -> None:
        refusal = refusal_of(a_chain_of(3), changed(READINGS[3], sample={"counters": (2_999_999, 2_000)}))
        assert (refusal.code, str(refusal)) == ("counter_fell", "counter 0 fell from 3000000 to 2999999 at 3")

    def test_of_an_amount_that_fell(self) -> None:
        due = READINGS[2].reading.amount_due
        refusal = refusal_of(a_chain_of(3), changed(READINGS[3], amount_due=due - 1))
        assert (refusal.code, str(refusal)) == (
            "amount_fell",
            f"the amount fell from {due} to {due - 1} at 3",
        )

    def test_of_a_clock_that_fell_within_a_boot(self) -> None:
        assert (
            refusal_of(a_chain_of(3), changed(READINGS[3], sample={"monotonic_ms": 6_999})).code
            == "clock_fell"
        )

    def test_does_not_concern_a_clock_that_began_anew(self) -> None:
        rebooted = changed(READINGS[3], sample={"monotonic_ms": 0, "boot": b"\x02" * 32})
        assert a_chain_of(3).accept(rebooted).next_seq == 4

    @pytest.mark.parametrize(
        ("at", "sample", "changes"),
        [
            (0, {"event": ReadingEvent.CONTINUE}, {}),
            (0, {"counters": (1, 0)}, {}),
            (3, {"event": ReadingEvent.BEGIN}, {}),
            (3, {"event": ReadingEvent.END}, {}),
            (3, {}, {"last": True}),
            (3, {"counters": (10**9,)}, {}),
        ],
        ids=[
            "no begin",
            "begins above zero",
            "begins twice",
            "end but not last",
            "last but no end",
            "lost a counter",
        ],
    )
    def test_of_a_malformed_one(self, at: int, sample: dict[str, Any], changes: dict[str, Any]) -> None:
        assert refusal_of(a_chain_of(at), changed(READINGS[at], sample=sample, **changes)).code == "malformed"


class TestCheckRates:
    BEFORE = READINGS[1].reading.sample

    def test_allows_the_fastest_rate_and_the_slack(self) -> None:
        after = self.BEFORE.model_copy(
            update={"monotonic_ms": 7_000, "counters": (1_500_000 + 6_000_000, 500)}
        )
        check_rates(self.BEFORE, after, max_per_second=(3_000_000, 1_000))

    def test_refuses_one_more(self) -> None:
        after = self.BEFORE.model_copy(
            update={"monotonic_ms": 7_000, "counters": (1_500_000 + 6_000_001, 500)}
        )
        with pytest.raises(
            ReadingRefused, match="grew by 6000001 in 1000 ms, at most 3000000 a second"
        ) as refusal:
            check_rates(self.BEFORE, after, max_per_second=(3_000_000, 1_000))
        assert refusal.value.code == "implausible_rate"

    def test_cannot_tell_across_boots(self) -> None:
        after = self.BEFORE.model_copy(update={"boot": bytes(32), "counters": (10**30, 0)})
        check_rates(self.BEFORE, after, max_per_second=(1, 1))
