"""See open.tree."""

from dataclasses import replace

import pytest
from rental import DAY, HOUR, NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of, flip_secp256k1
from world import call_object

SELECTOR = 4
WORD = 32
PAY = ("owner", "renter_agent", "meter", "token", "fee_to", "fee_bps", "max_total", "block_max")
PAY += ("max_rate_per_hour", "start_at", "claim_window")
RULES = (
    "renter",
    "owner_agent",
    "arbiter",
    "deposit",
    "fund_by",
    "end_by",
    "notice",
    "challenge_window",
    "detail",
)
MEMBERS = PAY + RULES
# The words that are hashes may hold anything; the arbiter's is read when it rules.
WHOLE_WORDS = {"owner", "renter_agent", "meter", "renter", "owner_agent", "arbiter", "detail"}
NARROW_MEMBERS = [member for member in MEMBERS if member not in WHOLE_WORDS]
# A member that opening leaves to claims is refused by our own code, the others by the compiler's, which gives no reason.
REASONS = {
    "block_max": ["RentalEscrow_AmountOutOfRange"],
    "max_rate_per_hour": ["RentalEscrow_AmountOutOfRange"],
}


class TestOpenByAllowance:
    def test_a_relayed_open_takes_prepayment_and_deposit_from_the_renter(self, world):
        rental = world.rental()
        before = world.purse(rental.renter)

        transaction = world.escrow.open(
            rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer}
        )

        assert before - world.purse(rental.renter) == 120 * USD
        assert world.held == 120 * USD
        assert world.slot(rental) == (0, 0, rental.claim_by, 10_000, 1)
        assert transaction.return_value == "0x" + rental.id.hex()
        assert transaction.events["Opened"] == {
            "rentalId": "0x" + rental.id.hex(),
            "prepaid": 100 * USD,
            "fundedBps": 10_000,
        }

    def test_the_id_is_the_digest_that_wallets_sign(self, world):
        rental = world.rental()

        assert world.escrow.rentalIdOf(rental.terms) == "0x" + rental.id.hex()

    def test_the_renter_itself_funds_any_share_without_a_signature(self, world, sender):
        rental = world.rental()

        world.escrow.open(rental.terms, 3_333, b"", {"from": sender(rental.renter)})

        assert world.held == 33_330_000 + 20 * USD
        assert world.slot(rental)[3] == 3_333

    def test_a_relayed_share_takes_a_fund_signature(self, world):
        rental = world.rental()

        world.escrow.open(rental.terms, 5_000, rental.fund(5_000), {"from": world.relayer})

        assert world.held == 70 * USD

    def test_the_agreement_signature_does_not_fund_another_share(self, world):
        rental = world.rental()

        refusal = world.refusal(world.escrow.open, rental.terms, 5_000, rental.agreement_signature)

        assert refusal[0] == "RentalEscrow_Unauthorized"


class TestWhoMayOpen:
    def test_refuses_a_signature_of_someone_else(self, world):
        rental = world.rental()
        stranger = Secp256k1Key("stranger")

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, stranger.sign(rental.id))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(stranger))

    def test_refuses_a_stranger_without_a_signature(self, world):
        rental = world.rental()

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, b"")

        assert refusal[0] == "RentalEscrow_Unauthorized"

    def test_refuses_the_mirrored_signature(self, world):
        rental = world.rental()

        refusal = world.refusal(
            world.escrow.open, rental.terms, 10_000, flip_secp256k1(rental.agreement_signature)
        )

        assert refusal == ("RentalEscrow_InvalidSignature",)

    def test_refuses_an_agreement_signed_for_another_chain(self, world):
        rental = world.rental()
        elsewhere = replace(rental, chain_id=1)

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, elsewhere.agreement_signature)

        assert refusal[0] == "RentalEscrow_Unauthorized"

    def test_refuses_an_agreement_signed_for_another_contract(self, world):
        rental = world.rental()
        elsewhere = replace(rental, escrow=world.registry.address)

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, elsewhere.agreement_signature)

        assert refusal[0] == "RentalEscrow_Unauthorized"

    def test_refuses_terms_of_which_one_member_was_changed(self, world):
        rental = world.rental()
        cheaper = replace(rental, deposit=rental.deposit - 1)

        refusal = world.refusal(world.escrow.open, cheaper.terms, 10_000, rental.agreement_signature)

        assert refusal[0] == "RentalEscrow_Unauthorized"

    def test_a_renter_without_an_address_has_no_tokens_to_pull(self, world):
        rental = world.rental(renter=P256Key("passkey"))

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_NoAddressToPayFrom", account_of(rental.renter))


class TestOpensOnce:
    def test_refuses_a_second_open(self, world):
        rental = world.opened()

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_AlreadyKnown", rental.id)

    def test_refuses_to_open_again_what_was_closed(self, world, nobody):
        rental = world.opened()
        until = world.now + HOUR
        sides = (rental.close(0, 0, until, rental.owner), rental.close(0, 0, until, rental.renter))
        world.escrow.close(rental.terms, (0, 0, until), *sides, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_AlreadyKnown", rental.id)

    def test_refuses_to_open_again_what_was_settled_and_forgotten(self, world, nobody):
        rental = world.opened()
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})
        assert world.slot(rental) == (0, 0, 0, 0, 0)

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_Expired", world.now, rental.fund_by)


class TestTerms:
    @pytest.mark.parametrize("member", NARROW_MEMBERS)
    def test_refuses_a_word_beyond_its_members_type(self, world, sender, member):
        rental = world.rental()
        call = call_object(world.escrow.open, rental.terms, 10_000, b"")
        data = bytearray.fromhex(call["data"][2:])
        data[SELECTOR + WORD * MEMBERS.index(member)] |= 0x80

        refusal = world.refusal_of({**call, "data": "0x" + data.hex()}, sender=sender(rental.renter))

        assert list(refusal[:1]) == REASONS.get(member, [])

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"token": NOBODY}, ("RentalEscrow_ZeroAddress",)),
            ({"fee_to": NOBODY}, ("RentalEscrow_ZeroAddress",)),
            ({"fee_bps": 1_001}, ("RentalEscrow_FeeTooHigh", 1_001, 1_000)),
            ({"fund_delay": 5 * HOUR}, ("RentalEscrow_TimesOutOfOrder", 0, 5 * HOUR, 4 * HOUR)),
            ({"start_delay": 4 * HOUR + 1}, ("RentalEscrow_TimesOutOfOrder", 4 * HOUR + 1, HOUR, 4 * HOUR)),
            ({"duration": 366 * DAY + 60}, ("RentalEscrow_EndTooFar", 366 * DAY + 60, 366 * DAY)),
            ({"claim_window": HOUR - 1}, ("RentalEscrow_WindowOutOfRange", HOUR - 1, HOUR, 30 * DAY)),
            ({"claim_window": 30 * DAY + 1}, ("RentalEscrow_WindowOutOfRange", 30 * DAY + 1, HOUR, 30 * DAY)),
            ({"challenge_window": HOUR - 1}, ("RentalEscrow_WindowOutOfRange", HOUR - 1, HOUR, 30 * DAY)),
            (
                {"challenge_window": 30 * DAY + 1},
                ("RentalEscrow_WindowOutOfRange", 30 * DAY + 1, HOUR, 30 * DAY),
            ),
            ({"notice": 30 * DAY + 1}, ("RentalEscrow_NoticeTooLong", 30 * DAY + 1, 30 * DAY)),
            ({"max_total": 2**96 - 20 * USD}, ("RentalEscrow_FundsTooLarge", 2**96, 2**96 - 1)),
        ],
    )
    def test_refuses_terms_beyond_the_limits(self, world, changes, error):
        """Times are told in seconds of the chain; they are written here as counted from now."""
        rental = replace(world.rental(), **changes)
        name, *numbers = error
        since = rental.starts if name in {"RentalEscrow_TimesOutOfOrder", "RentalEscrow_EndTooFar"} else 0

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == (name, *(number + since for number in numbers))

    @pytest.mark.parametrize(
        "changes",
        [
            {"fee_bps": 1_000},
            {"fee_bps": 0, "fee_to": NOBODY},
            {"fund_delay": 4 * HOUR},
            {"start_delay": 4 * HOUR},
            {"duration": 366 * DAY},
            {"claim_window": HOUR, "challenge_window": 30 * DAY},
            {"claim_window": 30 * DAY, "challenge_window": HOUR},
            {"notice": 30 * DAY},
            {"deposit": 0},
        ],
    )
    def test_accepts_terms_at_the_limits(self, world, changes):
        rental = world.opened(**changes)

        assert world.slot(rental)[4] == 1

    @pytest.mark.parametrize("funded_bps", [0, 10_001])
    def test_refuses_a_share_outside_one_to_ten_thousand(self, world, sender, funded_bps):
        rental = world.rental()

        refusal = world.refusal(
            world.escrow.open, rental.terms, funded_bps, b"", sender=sender(rental.renter)
        )

        assert refusal == ("RentalEscrow_FundedBpsOutOfRange", funded_bps, 1, 10_000)

    def test_opens_until_fund_by_and_no_longer(self, world):
        rental = world.rental()
        world.mine_at(rental.fund_by + 1)

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, rental.agreement_signature)

        assert refusal == ("RentalEscrow_Expired", rental.fund_by + 1, rental.fund_by)

    def test_opens_in_the_last_second_of_fund_by(self, world):
        rental = world.rental()
        world.next_at(rental.fund_by)

        world.escrow.open(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})

        assert world.now == rental.fund_by
