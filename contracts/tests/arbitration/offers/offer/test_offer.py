"""See offer.tree."""

import pytest
from eth_abi import encode
from rental import NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of, digest, domain

PAYEES = (NOBODY, NOBODY)
NO_ACCOUNT = b"\x00" * 32
USE, DAMAGE = 11 * USD, 3 * USD


class CodeSigner:
    """A signer by its bytes alone."""

    def __init__(self, signer: bytes) -> None:
        self.signer = signer


@pytest.fixture
def rental(desk, contested):
    return contested(arbiter=desk, dispute=True, damage=True)


def closing_of(rental, *, use=USE, damage=DAMAGE, until=None):
    return (use, damage, until or rental.rule_from)


def shown(desk, rental, closing, key, by):
    """Offer, and return the closing and the signature as anybody reads them."""
    event = desk.offer(rental.terms, closing, rental.close(*closing, key), by).events["Offered"]
    return tuple(event["closing"]), bytes.fromhex(str(event["signature"]).removeprefix("0x"))


class TestShows:
    @pytest.mark.parametrize("party", ["owner", "owner_agent", "renter", "renter_agent"])
    def test_who_would_close_how(self, desk, rental, by, party):
        key = getattr(rental, party)
        closing = closing_of(rental)

        event = desk.offer(rental.terms, closing, rental.close(*closing, key), by).events["Offered"]

        assert str(event["rentalId"]) == "0x" + rental.id.hex()
        assert str(event["account"]) == "0x" + account_of(key).hex()
        assert tuple(event["closing"]) == closing

    def test_what_a_wallet_that_is_code_would(self, world, desk, counterparties, by):
        wallet = counterparties.wallet
        owner = CodeSigner(bytes.fromhex(wallet.address[2:]))
        rental = world.rental(arbiter=desk.address, owner=owner)
        closing = closing_of(rental)
        said = {"rental_id": rental.id, "use": USE, "damage": DAMAGE, "valid_until": rental.rule_from}
        wallet.accept(digest(rental.domain, "Close", said), by)
        signature = encode(["bytes", "bytes"], [owner.signer, b""])

        event = desk.offer(rental.terms, closing, signature, by).events["Offered"]

        assert str(event["account"]) == "0x" + account_of(owner).hex()


class TestAccepted:
    @pytest.mark.parametrize("offeror", ["owner", "owner_agent", "renter"])
    def test_closes_the_rental_by_the_other_sides_word(self, world, desk, rental, by, offeror):
        closing, offered = shown(desk, rental, closing_of(rental), getattr(rental, offeror), by)
        other = rental.owner if offeror == "renter" else rental.renter
        accepted = rental.close(*closing, other)
        signatures = (accepted, offered) if offeror == "renter" else (offered, accepted)

        world.escrow.close(rental.terms, closing, *signatures, PAYEES, by)

        fee = USE * 250 // 10_000
        assert world.credit(rental.owner) == USE - fee + DAMAGE + rental.bond
        assert world.credit(rental.renter) == rental.max_total - USE + rental.deposit - DAMAGE
        assert world.slot(rental)[4] == 0

    def test_needs_no_signature_of_the_one_who_accepts_in_person(self, world, desk, rental, sender, by):
        closing, offered = shown(desk, rental, closing_of(rental), rental.owner, by)

        world.escrow.close(rental.terms, closing, offered, b"", PAYEES, {"from": sender(rental.renter)})

        assert world.slot(rental)[4] == 0

    @pytest.mark.parametrize("offeror", ["owner", "renter"])
    def test_not_by_whoever_made_it(self, world, desk, rental, by, offeror):
        key = getattr(rental, offeror)
        closing, offered = shown(desk, rental, closing_of(rental), key, by)

        refusal = world.refusal(world.escrow.close, rental.terms, closing, offered, offered, PAYEES)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(key))

    def test_not_after_its_time(self, world, desk, rental, by):
        closing, offered = shown(desk, rental, closing_of(rental), rental.owner, by)
        world.mine_at(rental.rule_from + 1)

        refusal = world.refusal(
            world.escrow.close, rental.terms, closing, offered, rental.close(*closing, rental.renter), PAYEES
        )

        assert refusal == ("RentalEscrow_Expired", rental.rule_from + 1, rental.rule_from)

    def test_ends_what_might_have_been_ruled(self, world, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful_desk.raiseDispute(rental.terms, by)
        wilful.arbitrator.decide(wilful_desk, 1, 1, by)
        closing, offered = shown(
            wilful_desk, rental, closing_of(rental, until=rental.rule_by, damage=0), rental.owner, by
        )
        accepted = rental.close(*closing, rental.renter)
        world.escrow.close(rental.terms, closing, offered, accepted, PAYEES, by)
        world.mine_at(rental.rule_from + 1)

        refusal = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)


class TestRefuses:
    def test_terms_that_name_another_arbiter(self, world, desk):
        rental = world.rental()
        closing = closing_of(rental)

        refusal = world.refusal(desk.offer, rental.terms, closing, rental.close(*closing, rental.owner))

        assert refusal == ("ArbitrationDesk_OtherArbiter", rental.arbiter.lower())

    def test_what_can_no_longer_be_accepted(self, world, desk, rental):
        closing = closing_of(rental, until=world.now - 1)

        refusal = world.refusal(desk.offer, rental.terms, closing, rental.close(*closing, rental.owner))

        assert refusal == ("ArbitrationDesk_Expired", world.now, world.now - 1)

    @pytest.mark.parametrize("key", [Secp256k1Key("arbiter"), Secp256k1Key("meter"), P256Key("a stranger")])
    def test_whoever_is_no_party(self, world, desk, rental, key):
        closing = closing_of(rental)

        refusal = world.refusal(desk.offer, rental.terms, closing, rental.close(*closing, key))

        assert refusal == ("ArbitrationDesk_NotAParty", account_of(key))

    def test_a_signature_of_something_else(self, world, desk, rental):
        closing = closing_of(rental)
        twin = world.rental(arbiter=desk.address, salt=b"\x02" * 32)
        said = {"rental_id": rental.id, "use": USE, "damage": DAMAGE, "valid_until": rental.rule_from}
        signatures = [
            rental.close(USE, DAMAGE + 1, rental.rule_from, rental.owner),
            twin.close(*closing, rental.owner),
            rental.owner.sign(digest(domain(desk.address), "Close", said)),
        ]

        refusals = [world.refusal(desk.offer, rental.terms, closing, signature) for signature in signatures]

        assert {name for name, _ in refusals} == {"ArbitrationDesk_NotAParty"}
        assert account_of(rental.owner) not in {account for _, account in refusals}

    @pytest.mark.parametrize("signature", [b"", b"\x00" * 65, b"\x00" * 128])
    def test_no_signature_even_where_the_owner_is_nobody(self, world, desk, signature):
        rental = world.rental(arbiter=desk.address)
        pay = (NO_ACCOUNT, *rental.pay[1:])

        refusal = world.refusal(desk.offer, (pay, rental.rules), closing_of(rental), signature)

        assert refusal == ("ArbitrationDesk_NotAParty", NO_ACCOUNT)

    def test_the_session_key_by_a_contracts_word(self, world, desk, counterparties):
        signer = bytes.fromhex(counterparties.verifier.address[2:]) + b"key"
        rental = world.rental(arbiter=desk.address, renter_agent=CodeSigner(signer))
        signature = encode(["bytes", "bytes"], [signer, b"key"])

        refusal = world.refusal(desk.offer, rental.terms, closing_of(rental), signature)

        assert refusal == ("ArbitrationDesk_NotAParty", account_of(CodeSigner(signer)))
