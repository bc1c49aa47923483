"""See claim.tree."""

from dataclasses import replace

import pytest
from model import Outcome, Slot
from packed import header_of, outcomes_of, packed_batch, packed_group, packed_row
from rental import HOUR, NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of, flip_p256, flip_secp256k1


def claim(world, rental, *amounts, payee=NOBODY):
    return world.escrow.claim(rental.claim(*amounts), payee, {"from": world.relayer})


def an_hour_in(world, rental):
    world.next_at(rental.starts + HOUR)


class TestPays:
    def test_what_the_renter_acknowledged_at_once_and_keeps_the_rest_as_tail(self, world):
        rental = world.opened()
        an_hour_in(world, rental)

        transaction = claim(world, rental, 12 * USD, 15 * USD, 10 * USD)

        assert world.slot(rental)[:2] == (10 * USD, 2 * USD)
        assert world.credit(rental.owner) == 9_750_000
        assert world.credit(rental.fee_to) == 0, "the fee waits for the end"
        assert transaction.events["Claimed"] == {
            "rentalId": "0x" + rental.id.hex(),
            "paid": 10 * USD,
            "tail": 2 * USD,
        }

    @pytest.mark.parametrize(
        ("amounts", "seconds", "paid_and_tail"),
        [
            pytest.param((3 * USD, 15 * USD, 10 * USD), HOUR, (3 * USD, 0), id="the reading"),
            pytest.param((12 * USD, 11 * USD, 10 * USD), HOUR, (10 * USD, 1 * USD), id="the ceiling"),
            pytest.param((50 * USD, 90 * USD, 10 * USD), HOUR, (10 * USD, 5 * USD), id="one block"),
            pytest.param((50 * USD, 90 * USD, 50 * USD), 60, (6 * USD, 0), id="elapsed time"),
            pytest.param(
                (50 * USD, 90 * USD, 50 * USD), 1, (5 * USD + 16_667, 0), id="elapsed time, rounded up"
            ),
            pytest.param((500 * USD, 500 * USD, 500 * USD), 3 * HOUR, (100 * USD, 0), id="what is prepaid"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
    def test_no_more_than_the_smallest_bound(self, world, amounts, seconds, paid_and_tail, packed):
        rental = world.opened()
        world.next_at(rental.starts + seconds)

        if packed:
            world.escrow.claimPacked(packed_batch([(rental, *amounts)]), {"from": world.relayer})
        else:
            claim(world, rental, *amounts)

        assert world.slot(rental)[:2] == paid_and_tail
        model = Slot(rental, claim_by=rental.claim_by).claimed(*amounts, now=world.now)
        assert world.slot(rental) == model.words

    def test_no_more_than_the_funded_share(self, world):
        rental = world.opened(funded_bps=1_234)
        world.next_at(rental.starts + 3 * HOUR)

        claim(world, rental, 50 * USD, 50 * USD, 50 * USD)

        assert world.slot(rental)[:2] == (12_340_000, 0)

    def test_time_after_the_end_raises_no_cap(self, world):
        rental = world.opened(max_rate_per_hour=USD)
        world.next_at(rental.claim_by)

        claim(world, rental, 90 * USD, 90 * USD, 90 * USD)

        assert world.slot(rental)[0] == 5 * USD + 4 * USD

    def test_nothing_for_time_before_the_start(self, world):
        rental = world.opened(start_delay=HOUR)
        an_hour_in(world, rental)

        claim(world, rental, 90 * USD, 90 * USD, 90 * USD)

        assert world.slot(rental)[0] == 5 * USD

    def test_the_same_fee_however_the_claims_are_split(self, world):
        rental = world.opened(fee_bps=333)
        an_hour_in(world, rental)
        for seq, amount in enumerate((7, 1_001, 9_999, 10_003), start=1):
            world.escrow.claim(rental.claim(amount, amount, amount, seq=seq), NOBODY, {"from": world.relayer})

        assert world.credit(rental.owner) == 10_003 - 10_003 * 333 // 10_000

    def test_an_older_pair_takes_nothing_back(self, world):
        rental = world.opened()
        an_hour_in(world, rental)
        claim(world, rental, 12 * USD, 15 * USD, 10 * USD)

        refusal = world.refusal(world.escrow.claim, rental.claim(8 * USD, 9 * USD, 8 * USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.NOTHING_NEW)

    def test_an_acknowledged_tail_becomes_paid(self, world):
        rental = world.opened()
        an_hour_in(world, rental)
        claim(world, rental, 12 * USD, 15 * USD, 10 * USD)

        claim(world, rental, 12 * USD, 17 * USD, 12 * USD)

        assert world.slot(rental)[:2] == (12 * USD, 0)


class TestPayout:
    def test_is_pushed_to_the_owners_address(self, world):
        rental = world.opened()
        an_hour_in(world, rental)

        claim(world, rental, 10 * USD, 10 * USD, 10 * USD, payee=rental.owner.address)

        assert world.purse(rental.owner) == 9_750_000
        assert world.credit(rental.owner) == 0

    def test_goes_to_no_other_address(self, world):
        rental = world.opened()
        world.mine_at(rental.starts + HOUR)

        row = rental.claim(10 * USD, 10 * USD, 10 * USD)

        refusal = world.refusal(world.escrow.claim, row, world.relayer)
        assert refusal == ("RentalEscrow_WrongPayee", world.relayer.address.lower())


class TestKeys:
    @pytest.mark.parametrize("role", ["meter", "renter_agent"])
    def test_may_be_p256(self, world, role):
        rental = world.opened(**{role: P256Key("secure element")})
        an_hour_in(world, rental)

        claim(world, rental, 10 * USD, 10 * USD, 10 * USD)

        assert world.slot(rental)[0] == 10 * USD

    def test_of_a_stranger_count_for_nothing(self, world):
        rental = world.opened()
        stranger = Secp256k1Key("stranger")
        good = rental.claim(10 * USD, 10 * USD, 10 * USD)
        reading = rental.reading(10 * USD, key=stranger)
        ceiling = rental.ceiling(10 * USD, 10 * USD, key=stranger)

        by_meter = world.refusal(world.escrow.claim, (*good[:2], *reading, *good[4:]), NOBODY)
        by_agent = world.refusal(world.escrow.claim, (*good[:4], *ceiling), NOBODY)

        assert by_meter == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)
        assert by_agent == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_RENTER_AGENT_SIGNATURE)

    @pytest.mark.parametrize(
        ("key", "flip"),
        [(Secp256k1Key("meter"), flip_secp256k1), (P256Key("meter"), flip_p256)],
        ids=["secp256k1", "p256"],
    )
    def test_have_no_second_signature(self, world, key, flip):
        rental = world.opened(meter=key)
        row = list(rental.claim(10 * USD, 10 * USD, 10 * USD))
        row[3] = flip(row[3])

        refusal = world.refusal(world.escrow.claim, tuple(row), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)

    @pytest.mark.parametrize(
        "elsewhere", [{"chain_id": 1}, {"escrow": "0x" + "11" * 20}], ids=["chain", "contract"]
    )
    def test_signing_for_another_chain_or_contract_count_for_nothing(self, world, elsewhere):
        rental = world.opened()
        reading, _ = rental.reading(10 * USD)
        sample = rental.sample(1)
        values = {"rental_id": rental.id, "seq": 1, "amount_due": 10 * USD, "last": False, "sample": sample}
        signature = replace(rental, **elsewhere).signed("Reading", values, rental.meter)
        good = rental.claim(10 * USD, 10 * USD, 10 * USD)

        refusal = world.refusal(world.escrow.claim, (*good[:2], reading, signature, *good[4:]), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)

    @pytest.mark.parametrize("signature", [b"", b"\x00" * 65, b"\x00" * 128, b"\x01" * 64, b"\x01" * 192])
    def test_accept_no_signature_of_another_form(self, world, signature):
        rental = world.opened()
        row = list(rental.claim(10 * USD, 10 * USD, 10 * USD))
        row[3] = signature

        refusal = world.refusal(world.escrow.claim, tuple(row), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)


class TestRefuses:
    def test_what_never_opened(self, world):
        rental = world.rental()

        refusal = world.refusal(world.escrow.claim, rental.claim(1, 1, 1), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.NOT_OPEN)

    def test_a_reading_of_another_rental(self, world):
        rental = world.opened()
        other = replace(rental, salt=b"\x02" * 32)
        row = (rental.pay, rental.rules_hash, *other.reading(USD), *rental.ceiling(USD, USD))

        refusal = world.refusal(world.escrow.claim, row, NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.OTHER_RENTAL)

    def test_a_ceiling_of_another_rental(self, world):
        rental = world.opened()
        other = replace(rental, salt=b"\x02" * 32)
        row = (rental.pay, rental.rules_hash, *rental.reading(USD), *other.ceiling(USD, USD))

        refusal = world.refusal(world.escrow.claim, row, NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.OTHER_RENTAL)

    def test_a_claim_after_a_settlement_in_part(self, world, nobody):
        rental = world.opened()
        world.claimed(rental, 10 * USD, 10 * USD, 5 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.claim, rental.claim(11 * USD, 11 * USD, 11 * USD, seq=2), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.ALREADY_SPLIT)

    def test_a_claim_that_would_take_a_balance_beyond_its_type(self, world, sender):
        rental = world.opened()
        most, hoarder = 2**128 - 1, sender(Secp256k1Key("hoarder"))
        world.token.mint(hoarder, most, {"from": world.relayer})
        world.token.approve(world.escrow, most, {"from": hoarder})
        world.escrow.deposit(world.token, account_of(rental.owner), most, {"from": hoarder})

        refusal = world.refusal(world.escrow.claim, rental.claim(USD, USD, USD), NOBODY)

        assert refusal == ("SafeCastOverflowedUintDowncast", 128, most + 975_000)

    def test_a_claim_after_claim_by(self, world):
        rental = world.opened()
        world.mine_at(rental.claim_by + 1)

        refusal = world.refusal(world.escrow.claim, rental.claim(USD, USD, USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.TOO_LATE)

    def test_a_replay_after_the_close(self, world, nobody):
        rental = world.opened()
        until = world.now + HOUR
        sides = (rental.close(USD, 0, until, rental.owner), rental.close(USD, 0, until, rental.renter))
        world.escrow.close(rental.terms, (USD, 0, until), *sides, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.claim, rental.claim(2 * USD, 2 * USD, 2 * USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.NOT_OPEN)

    def test_a_replay_after_the_settlement(self, world, nobody):
        rental = world.opened()
        row = rental.claim(2 * USD, 2 * USD, 2 * USD)
        world.escrow.claim(row, NOBODY, {"from": world.relayer})
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.claim, row, NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.NOT_OPEN)


class TestManyRows:
    def test_a_bad_row_is_skipped_with_its_reason_and_the_others_are_paid(self, world):
        rentals = [
            world.opened(salt=bytes([number]) * 32, max_total=10 * USD, deposit=0) for number in range(1, 5)
        ]
        rows = [packed_row(rental, USD, USD, USD) for rental in rentals]
        rows[1] = packed_row(rentals[1], USD, USD, USD, meter_key=Secp256k1Key("a stranger"))
        rows[2] = rows[0]

        transaction = world.escrow.claimPacked(batch_of(rentals[0], rows), {"from": world.relayer})

        expected = [Outcome.CLAIMED, Outcome.BAD_METER_SIGNATURE, Outcome.NOTHING_NEW, Outcome.CLAIMED]
        assert outcomes_of(transaction.return_value) == expected
        assert [world.slot(rental)[0] for rental in rentals] == [USD, 0, 0, USD]
        assert world.credit(rentals[0].owner) == 2 * 975_000
        assert transaction.events["ClaimedMany"]["rows"] == transaction.return_value
        logged = bytes.fromhex(str(transaction.return_value)[2:])
        words = [logged[at : at + 64] for at in range(0, len(logged), 64)]
        assert [word[:32] for word in words] == [rentals[number].id for number in (0, 1, 0, 3)]
        assert [int.from_bytes(word[32:44], "big") for word in words] == [USD, 0, 0, USD]

    def test_a_row_of_another_renters_agent_is_skipped(self, world):
        rental = world.opened()
        row = packed_row(rental, USD, USD, USD, renter_agent_key=Secp256k1Key("a stranger"))

        transaction = world.escrow.claimPacked(batch_of(rental, [row]), {"from": world.relayer})

        assert outcomes_of(transaction.return_value) == [Outcome.BAD_RENTER_AGENT_SIGNATURE]

    def test_a_row_whose_signature_nobody_made_is_skipped(self, world):
        rental = world.opened()
        row = packed_row(rental, USD, USD, USD)

        transaction = world.escrow.claimPacked(
            batch_of(rental, [row[:-128] + b"\x00" * 128]), {"from": world.relayer}
        )

        assert outcomes_of(transaction.return_value) == [Outcome.BAD_METER_SIGNATURE]

    def test_rows_of_p256_keys_stand_beside_the_others(self, world):
        keys = [
            {},
            {"meter": P256Key("meter")},
            {"renter_agent": P256Key("agent")},
            {"meter": P256Key("meter"), "renter_agent": P256Key("agent")},
        ]
        rentals = [
            world.opened(salt=bytes([number]) * 32, max_total=10 * USD, deposit=0, **each)
            for number, each in enumerate(keys, 1)
        ]

        transaction = world.escrow.claimPacked(
            packed_batch((rental, USD, USD, USD) for rental in rentals), {"from": world.relayer}
        )

        assert outcomes_of(transaction.return_value) == [Outcome.CLAIMED] * 4
        assert world.credit(rentals[0].owner) == 4 * 975_000

    def test_groups_credit_each_its_owner(self, world):
        first = world.opened(salt=b"\x01" * 32, max_total=10 * USD, deposit=0)
        second = world.opened(
            salt=b"\x02" * 32, max_total=10 * USD, deposit=0, owner=Secp256k1Key("another owner")
        )

        world.escrow.claimPacked(
            packed_batch([(first, USD, USD, USD), (second, 2 * USD, 2 * USD, 2 * USD)]),
            {"from": world.relayer},
        )

        assert (world.credit(first.owner), world.credit(second.owner)) == (975_000, 1_950_000)

    def test_more_than_a_transaction_can_hold_are_refused(self, world):
        row = packed_row(world.rental(), 1, 1, 1)

        refusal = world.refusal(world.escrow.claimPacked, batch_of(world.rental(), [row] * 255) * 2)

        assert refusal == ("RentalEscrow_TooManyRows", 510, 256)

    @pytest.mark.parametrize("cut", [1, 354, 355, 400, 428], ids=lambda cut: f"{cut} bytes short")
    def test_a_batch_that_ends_too_soon_is_refused(self, world, cut):
        rental = world.rental()
        batch = batch_of(rental, [packed_row(rental, 1, 1, 1)])

        refusal = world.refusal(world.escrow.claimPacked, batch[:-cut])

        assert refusal == ("RentalEscrow_MalformedBatch",)

    def test_a_group_without_rows_is_refused(self, world):
        rental = world.rental()
        header = batch_of(rental, [packed_row(rental, 1, 1, 1)])[:74]

        assert world.refusal(world.escrow.claimPacked, header + b"\x00") == ("RentalEscrow_MalformedBatch",)


def batch_of(rental, rows):
    return packed_group(header_of(rental), rows)
