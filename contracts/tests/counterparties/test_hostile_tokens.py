"""Tokens that call back into every entry point, burn the gas they are given or count in other units."""

import json
from pathlib import Path

import pytest
from eth_abi import encode
from eth_utils import keccak
from foreign_token import close, credit, opened
from model import Outcome
from rental import NOBODY, USD
from signing import account_of
from world import canonical

ABI = json.loads((Path(__file__).parents[2] / "build/contracts/RentalEscrow.json").read_text())["abi"]
ENTRIES = [
    entry for entry in ABI if entry["type"] == "function" and entry["stateMutability"] not in {"view", "pure"}
]
GUARDED = "0x" + keccak(text="ReentrancyGuardReentrantCall()")[:4].hex()
# They move no token, so they need no guard; what they change is written before any other contract is called.
MOVE_NOTHING = {"damage", "dispute", "exit", "voidTail"}
# Enough that the 64th part which a burnt call leaves still credits (EIP-150), within what a transaction may have (EIP-7825).
MUCH_GAS = 16_000_000


@pytest.fixture
def token(world, counterparties, sender):
    """A token, still well-behaved, that the renter of a rental holds and has approved."""
    hostile = counterparties.token
    renter = sender(world.rental().renter)
    hostile.mint(renter, 10**24, {"from": world.relayer})
    hostile.approve(world.escrow, 10**24, {"from": renter})
    return hostile


def nothing(kind):
    """Return a value of an ABI type that is as empty as it can be."""
    if kind["type"].endswith("[]"):
        return []
    if kind["type"] == "tuple":
        return tuple(map(nothing, kind["components"]))
    if kind["type"] == "address":
        return NOBODY
    return {"bool": False, "string": "", "bytes": b""}.get(
        kind["type"], b"" if "bytes" in kind["type"] else 0
    )


def empty_call(entry):
    types = [canonical(each) for each in entry["inputs"]]
    selector = keccak(text=f"{entry['name']}({','.join(types)})")[:4]
    return selector + encode(types, [nothing(each) for each in entry["inputs"]])


class TestCallsBack:
    @pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
    def test_into_no_entry_while_money_comes_in(self, world, token, entry):
        token.callBack(world.escrow, empty_call(entry), {"from": world.relayer})

        opened(world, token)

        assert self.was_refused(token, entry)

    @pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
    def test_into_no_entry_while_money_goes_out(self, world, token, entry):
        rental = opened(world, token)
        token.callBack(world.escrow, empty_call(entry), {"from": world.relayer})

        close(world, rental, 10 * USD, (rental.owner.address, rental.renter.address))

        assert self.was_refused(token, entry)
        assert token.balanceOf(rental.owner.address) == 9_750_000

    def test_an_exit_signed_by_a_party_changes_no_money_on_its_way(self, world, token):
        rental = opened(world, token)
        other = opened(world, token, salt=b"\x02" * 32)
        call = world.escrow.exit.encode_input(other.terms, other.exit(other.renter))
        token.callBack(world.escrow, call, {"from": world.relayer})

        close(world, rental, 10 * USD, (rental.owner.address, NOBODY))

        assert token.hookSucceeded() is True
        credits = sum(
            world.escrow.balances(token, account_of(key))[0] for key in (rental.owner, rental.renter)
        )
        fee = 250_000
        assert token.balanceOf(world.escrow) == 120 * USD + credits + fee

    @staticmethod
    def was_refused(token, entry):
        guarded = str(token.hookAnswer()) == GUARDED
        return token.hookSucceeded() is False and (guarded or entry["name"] in MOVE_NOTHING)


class TestBurnsGas:
    def test_a_receiver_that_burns_gas_is_credited_and_the_other_is_paid(self, world, token):
        rental = opened(world, token)
        before = token.balanceOf(rental.renter.address)
        token.eatGasOf(rental.owner.address, {"from": world.relayer})

        payees = (rental.owner.address, rental.renter.address)
        close(world, rental, 10 * USD, payees, gas_limit=MUCH_GAS, allow_revert=True)

        assert credit(world, token, rental.owner) == 9_750_000
        assert token.balanceOf(rental.renter.address) - before == 110 * USD

    @pytest.mark.gas
    def test_whoever_names_no_address_is_credited_without_a_call(self, world, token):
        rental = opened(world, token)
        for party in (rental.owner, rental.renter):
            token.eatGasOf(party.address, {"from": world.relayer})

        transaction = close(world, rental, 10 * USD, (NOBODY, NOBODY))

        assert transaction.gas_used < 200_000
        assert credit(world, token, rental.owner) == 9_750_000
        assert credit(world, token, rental.renter) == 110 * USD

    def test_a_claim_that_credits_does_not_call_the_token(self, world, token):
        rental = opened(world, token)
        token.eatGasOf(rental.owner.address, {"from": world.relayer})

        world.claimed(rental, 10 * USD, 10 * USD, 10 * USD)

        assert credit(world, token, rental.owner) > 0


class TestUnits:
    @pytest.mark.parametrize("unit", [1, 10**18], ids=["no decimals", "18 decimals"])
    def test_of_any_size_are_counted_to_the_last(self, world, token, unit):
        amounts = {"max_total": 101, "deposit": 21, "block_max": 5, "max_rate_per_hour": 60}
        rental = opened(world, token, **{name: amount * unit for name, amount in amounts.items()})
        before = token.balanceOf(rental.renter.address)
        world.claimed(rental, 33 * unit, 33 * unit, 33 * unit)

        close(world, rental, 41 * unit, (rental.owner.address, rental.renter.address))

        fee = 41 * unit * 250 // 10_000
        owned = token.balanceOf(rental.owner.address) + credit(world, token, rental.owner)
        refunded = token.balanceOf(rental.renter.address) - before
        platform = world.escrow.balances(token, keccak(bytes.fromhex(rental.fee_to[2:])))[0]
        assert (owned, platform, refunded) == (41 * unit - fee, fee, 81 * unit)
        assert token.balanceOf(world.escrow) == owned - token.balanceOf(rental.owner.address) + platform


class TestLyingWallet:
    @pytest.fixture(params=["ANSWERS_ONE", "ANSWERS_NOTHING", "ANSWERS_WITH_DIRT", "REVERTS"])
    def liar(self, world, counterparties, request):
        lies = ["ANSWERS_ONE", "ANSWERS_NOTHING", "ANSWERS_WITH_DIRT", "REVERTS"]
        counterparties.liar.tell(lies.index(request.param), {"from": world.relayer})
        return counterparties.liar

    def test_signs_nothing(self, world, liar):
        signer = bytes.fromhex(liar.address[2:])
        rental = world.rental(max_total=0, deposit=0)
        rental.renter.signer = signer
        signature = encode(["bytes", "bytes"], [signer, b""])

        refusal = world.refusal(world.escrow.openFromBalance, rental.terms, 10_000, signature)

        assert refusal == ("RentalEscrow_InvalidSignature",)

    @pytest.mark.gas
    def test_that_burns_gas_holds_nobody_up(self, world, counterparties):
        counterparties.liar.tell(4, {"from": world.relayer})
        rental = world.rental()
        rental.owner.signer = bytes.fromhex(counterparties.liar.address[2:])
        world.escrow.open(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})
        before = world.purse(rental.renter)
        world.next_at(rental.claim_by + 1)

        transaction = world.escrow.settle(
            rental.terms, (NOBODY, rental.renter.address), {"from": world.relayer}
        )

        assert transaction.gas_used < 200_000
        assert world.purse(rental.renter) - before == 120 * USD

    def test_is_never_asked_in_a_claim(self, world, counterparties):
        counterparties.liar.tell(4, {"from": world.relayer})
        signer = bytes.fromhex(counterparties.liar.address[2:])
        rental = world.rental()
        rental.meter.signer = signer
        world.escrow.open(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})
        row = list(rental.claim(USD, USD, USD))
        row[3] = encode(["bytes", "bytes"], [signer, b""])

        refusal = world.refusal(world.escrow.claim, tuple(row), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)
