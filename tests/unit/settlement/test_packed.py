"""Many claims in one transaction's calldata: read back, they are the same; what does not fit is refused."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import Ceiling, sign_ceiling
from hireling.rental.reading import SignedReading
from hireling.rental.signing import P256Key, Secp256k1Key
from hireling.rental.terms import account_of
from hireling.rental.typed_data import hash_struct
from services.settlement.escrow.packed import (
    MOST_ROWS,
    ClaimOutcome,
    Evidence,
    LoggedRow,
    Unpackable,
    logged_rows,
    outcome_name,
    pack,
)
from tests.builders import (
    DOMAIN,
    a_key,
    a_listing,
    a_p256_key,
    a_reading_chain,
    a_request,
    an_offer,
    signed_agreement,
)

Key = Secp256k1Key | P256Key
METERS: tuple[Key, Key] = (a_key("meter"), a_p256_key("meter"))
AGENTS: tuple[Key, Key] = (a_key("renter's agent"), a_p256_key("renter's agent"))
UINT96 = st.integers(0, (1 << 96) - 1)
GROUP_BYTES, SHORTEST_ROW_BYTES, POINT_BEYOND_ADDRESS = 75, 354, 44


class Reader:
    """Reads a batch as the contract does: written a second time, from the layout."""

    def __init__(self, batch: bytes) -> None:
        self._batch = batch

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        taken, self._batch = self._batch[:size], self._batch[size:]
        assert len(taken) == size, "the batch ends in the middle of a field"
        return taken

    def number(self, size: int) -> int:
        """Return the next number."""
        return int.from_bytes(self.take(size), "big")

    def rows(self) -> list[dict[str, Any]]:
        """Return every row of every group."""
        found = []
        while self._batch:
            shared: dict[str, Any] = {"owner": self.take(32), "token": self.take(20), "fee_to": self.take(20)}
            shared["fee_bps"] = self.number(2)
            found += [shared | self._row() for _ in range(self.number(1))]
        return found

    def _row(self) -> dict[str, Any]:
        flags = self.number(1)
        row: dict[str, Any] = {"last": bool(flags & 1), "rules": self.take(32)}
        row["meter"] = self.take(64 if flags & 2 else 20)
        row["renter_agent"] = self.take(64 if flags & 4 else 20)
        sizes = {"max_total": 12, "block_max": 12, "max_rate_per_hour": 12, "start_at": 5, "claim_window": 4}
        row |= {name: self.number(size) for name, size in {**sizes, "seq": 8, "amount_due": 12}.items()}
        row["sample"] = self.take(32)
        row |= {"max_claimable": self.number(12), "ack_amount": self.number(12)}
        row["ack_reading"] = self.take(32)
        row["meter_signature"] = self._signature(row["meter"], odd=bool(flags & 8))
        row["renter_agent_signature"] = self._signature(row["renter_agent"], odd=bool(flags & 16))
        return row

    def _signature(self, key: bytes, *, odd: bool) -> bytes:
        rs = self.take(64)
        return key + rs if len(key) == 64 else rs + bytes([28 if odd else 27])


def said(claim: Evidence) -> dict[str, Any]:
    """Return everything that a claim says, by name."""
    pay, reading, ceiling = claim.agreement.pay, claim.reading, claim.ceiling
    amounts = ("fee_bps", "max_total", "block_max", "max_rate_per_hour", "start_at", "claim_window")
    return {
        "owner": account_of(pay.owner),
        **{name: getattr(pay, name) for name in ("token", "fee_to", "meter", "renter_agent", *amounts)},
        "rules": hash_struct(claim.agreement.rules),
        "last": reading.reading.last,
        "seq": reading.reading.seq,
        "amount_due": reading.reading.amount_due,
        "sample": hash_struct(reading.reading.sample),
        "max_claimable": ceiling.ceiling.max_claimable,
        "ack_amount": ceiling.ceiling.ack_amount,
        "ack_reading": ceiling.ceiling.ack_reading,
        "meter_signature": reading.signature,
        "renter_agent_signature": ceiling.signature,
    }


def in_order(row: dict[str, Any]) -> str:
    """Return what rows may be sorted by, whatever order their fields were read in."""
    return repr(sorted(row.items()))


def a_claim(
    *,
    meter: Key = METERS[0],
    agent: Key = AGENTS[0],
    owner: str = "owner",
    fee_bps: int = 250,
    number: int = 1,
    max_claimable: int = 9_000,
    ack_amount: int = 5_000,
) -> Evidence:
    """Return a rental's reading and ceiling, signed by these keys."""
    signed = a_rental(meter=meter, agent=agent, owner=owner, fee_bps=fee_bps)
    ceiling = Ceiling(
        rental_id=signed.rental_id,
        max_claimable=max_claimable,
        ack_amount=ack_amount,
        ack_reading=bytes([number]) * 32,
    )
    return Evidence(
        signed.agreement,
        readings_of(signed, meter)[number],
        sign_ceiling(agent, signed.domain, ceiling),
    )


@cache
def readings_of(signed: SignedAgreement, meter: Key) -> tuple[SignedReading, ...]:
    """Return the rental's three readings."""
    return a_reading_chain(3, signed=signed, meter_key=meter)


@cache
def a_rental(*, meter: Key, agent: Key, owner: str, fee_bps: int) -> SignedAgreement:
    """Return an agreement between these keys."""
    listing = a_listing(meter_key=meter, owner=a_key(owner).identity)
    request = a_request(listing=listing, renter_agent_key=agent)
    return signed_agreement(offer=an_offer(listing=listing, request=request, fee_bps=fee_bps))


CLAIMS = st.builds(
    a_claim,
    meter=st.sampled_from(METERS),
    agent=st.sampled_from(AGENTS),
    owner=st.sampled_from(["owner", "another owner"]),
    fee_bps=st.sampled_from([0, 250]),
    number=st.integers(0, 2),
    max_claimable=UINT96,
    ack_amount=UINT96,
)


class TestPack:
    @given(st.lists(CLAIMS, min_size=1, max_size=6))
    def test_says_everything_of_every_claim_and_nothing_else(self, claims: list[Evidence]) -> None:
        rows = Reader(pack(claims)).rows()
        assert sorted(rows, key=in_order) == sorted(map(said, claims), key=in_order)

    def test_says_once_what_an_owner_s_claims_share(self) -> None:
        ours, theirs = a_claim(), a_claim(owner="another owner")
        assert len(pack([ours, theirs, ours])) == 2 * GROUP_BYTES + 3 * SHORTEST_ROW_BYTES

    def test_keeps_the_order_of_claims_within_a_group(self) -> None:
        numbers = [row["seq"] for row in Reader(pack([a_claim(number=each) for each in (2, 0, 1)])).rows()]
        assert numbers == [2, 0, 1]

    def test_makes_a_row_longer_by_what_a_point_is_longer_than_an_address(self) -> None:
        both = pack([a_claim(meter=METERS[1], agent=AGENTS[1])])
        assert len(both) == GROUP_BYTES + SHORTEST_ROW_BYTES + 2 * POINT_BEYOND_ADDRESS

    def test_begins_another_group_where_one_cannot_count_its_rows(self) -> None:
        full = pack([a_claim()] * MOST_ROWS)
        assert len(full) == 2 * GROUP_BYTES + MOST_ROWS * SHORTEST_ROW_BYTES
        assert len(Reader(full).rows()) == MOST_ROWS


class TestWhatCannotBePacked:
    @pytest.mark.parametrize("number", [0, MOST_ROWS + 1])
    def test_is_no_claim_or_more_than_the_escrow_takes(self, number: int) -> None:
        with pytest.raises(Unpackable, match="1 to 256 rows"):
            pack([a_claim()] * number)

    def test_is_a_signature_of_another_curve_than_the_key(self) -> None:
        p256 = a_claim(agent=AGENTS[1]).ceiling
        with pytest.raises(Unpackable, match="20 bytes with a signature of 128"):
            pack([with_ceiling_signature(a_claim(), p256.signature)])

    def test_is_a_signature_by_another_point(self) -> None:
        claim = a_claim(agent=AGENTS[1])
        other = sign_ceiling(a_p256_key("a thief"), DOMAIN, claim.ceiling.ceiling)
        with pytest.raises(Unpackable, match="another point"):
            pack([with_ceiling_signature(claim, other.signature)])

    def test_is_a_signature_without_a_parity(self) -> None:
        signature = a_claim().ceiling.signature[:-1] + b"\x00"
        with pytest.raises(Unpackable, match="v is 0"):
            pack([with_ceiling_signature(a_claim(), signature)])

    def test_is_a_ceiling_of_another_rental(self) -> None:
        claim, other = a_claim(), a_claim(owner="another owner")
        with pytest.raises(Unpackable, match="a reading of"):
            pack([Evidence(claim.agreement, claim.reading, other.ceiling)])


class TestLoggedRows:
    def test_are_what_the_escrow_said_of_each(self) -> None:
        logged = b"\x11" * 32 + (7).to_bytes(12) + (8).to_bytes(12) + b"\x00" * 8
        skipped = b"\x22" * 32 + bytes(24) + b"\x02" + bytes(7)
        assert logged_rows(logged + skipped) == [
            LoggedRow(rental_id=b"\x11" * 32, paid=7, tail=8, outcome=ClaimOutcome.CLAIMED),
            LoggedRow(rental_id=b"\x22" * 32, paid=0, tail=0, outcome=ClaimOutcome.NOT_OPEN),
        ]

    def test_are_whole(self) -> None:
        with pytest.raises(ValueError, match="63 bytes"):
            logged_rows(bytes(63))

    def test_name_their_outcome_even_where_it_is_a_new_one(self) -> None:
        assert outcome_name(ClaimOutcome.TOO_LATE) == "TOO_LATE"
        assert outcome_name(200) == "OUTCOME_200"


def with_ceiling_signature(claim: Evidence, signature: bytes) -> Evidence:
    """Return the claim with this under its ceiling."""
    return Evidence(claim.agreement, claim.reading, claim.ceiling.model_copy(update={"signature": signature}))
