"""Wallets that are code may rent and let, but never be a meter or a session key: they could take back what was served."""

import pytest
from eth_abi import encode
from model import Outcome
from rental import HOUR, NOBODY, USD
from signing import Key


class CodeKey:
    """A signer whose signature is abi.encode(signer bytes, inner)."""

    def __init__(self, signer: bytes, inner: bytes, accept=None) -> None:
        self.signer = signer
        self._inner = inner
        self._accept = accept

    def sign(self, message_digest: bytes) -> bytes:
        if self._accept is not None:
            self._accept(message_digest)
        return encode(["bytes", "bytes"], [self.signer, self._inner])


@pytest.fixture
def wallet(world, counterparties) -> Key:
    contract = counterparties.wallet
    signer = bytes.fromhex(contract.address[2:])
    return CodeKey(signer, b"", lambda message: contract.accept(message, {"from": world.relayer}))


@pytest.fixture
def other_scheme(counterparties) -> Key:
    contract = counterparties.verifier
    return CodeKey(
        bytes.fromhex(contract.address[2:]) + b"a key of another scheme", b"a key of another scheme"
    )


class TestMaySignFor:
    @pytest.mark.parametrize("kind", ["wallet", "other_scheme"])
    @pytest.mark.parametrize("party", ["renter", "owner", "owner_agent"])
    def test_either_side_of_a_close(self, world, request, kind, party):
        key = request.getfixturevalue(kind)
        rental = world.rental(**{party: key}, max_total=0, deposit=0)
        world.escrow.openFromBalance(
            rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer}
        )
        until = world.now + HOUR
        by_key = rental.close(0, 0, until, key)
        by_renter = by_key if party == "renter" else rental.close(0, 0, until, rental.renter)
        by_owner = by_key if party != "renter" else rental.close(0, 0, until, rental.owner)

        closing = (rental.terms, (0, 0, until), by_owner, by_renter, (NOBODY, NOBODY))
        world.escrow.close(*closing, {"from": world.relayer})

        assert world.slot(rental)[4] == 128

    def test_a_wallet_that_changed_its_mind_signs_no_more(self, world, wallet, counterparties):
        rental = world.rental(renter=wallet, max_total=0, deposit=0)
        signature = wallet.sign(rental.id)
        wallet.sign(b"\x00" * 32)

        refusal = world.refusal(world.escrow.openFromBalance, rental.terms, 10_000, signature)

        assert refusal == ("RentalEscrow_InvalidSignature",)


class TestMayNotSignFor:
    def test_the_meter_or_the_session_key_of_a_claim(self, world, wallet):
        rental = world.opened(meter=wallet)
        meter_row = rental.claim(USD, USD, USD)
        session = world.opened(renter_agent=wallet)
        session_row = session.claim(USD, USD, USD)

        by_meter = world.refusal(world.escrow.claim, meter_row, NOBODY)
        by_agent = world.refusal(world.escrow.claim, session_row, NOBODY)

        assert by_meter == ("RentalEscrow_ClaimRefused", rental.id, Outcome.BAD_METER_SIGNATURE)
        assert by_agent == ("RentalEscrow_ClaimRefused", session.id, Outcome.BAD_RENTER_AGENT_SIGNATURE)

    def test_an_exit_as_the_session_key(self, world, wallet):
        rental = world.opened(renter_agent=wallet)

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(wallet))

        assert refusal[0] == "RentalEscrow_Unauthorized"
