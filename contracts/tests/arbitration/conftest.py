"""A panel of every kind of member, what it may rule over, and arbitrators of ill will."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from brownie import ArbiterPanel, ArbitrationDesk, PasskeyVerifier
from brownie.project import compile_source
from eth_abi import encode
from eth_utils import keccak
from rental import NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of, digest, domain
from webauthn import Passkey

FIRST, SECOND, BROWSER = Secp256k1Key("first member"), Secp256k1Key("second member"), P256Key("third member")
PAYEES = (NOBODY, NOBODY)
THRESHOLD = 3


@dataclass(frozen=True)
class Board:
    """A panel and its members: two addresses, a P-256 key, a wallet that is code, and a passkey."""

    panel: Any
    wallet: Any
    passkey: Passkey

    @property
    def signers(self) -> list[bytes]:
        return [FIRST.signer, SECOND.signer, BROWSER.signer, self.wallets_signer, self.passkey.signer]

    @property
    def wallets_signer(self) -> bytes:
        return bytes.fromhex(self.wallet.address[2:])

    def digest(self, dispute: int, ruling: int, **changes: Any) -> bytes:
        values = {"dispute": dispute, "ruling": ruling}
        return digest(domain(changes.pop("panel", self.panel.address), **changes), "Vote", values)

    def vote(self, key: Any, dispute: int, ruling: int, **changes: Any) -> bytes:
        return bytes(key.sign(self.digest(dispute, ruling, **changes)))

    def wallets_vote(self, dispute: int, ruling: int, *, sender: Any) -> bytes:
        self.wallet.accept(self.digest(dispute, ruling), {"from": sender})
        return encode(["bytes", "bytes"], [self.wallets_signer, b""])


@pytest.fixture(scope="session")
def board(furnished, counterparties):
    passkey = Passkey("fifth member", furnished.relayer.deploy(PasskeyVerifier))
    unseated = Board(panel=None, wallet=counterparties.wallet, passkey=passkey)
    panel = furnished.relayer.deploy(ArbiterPanel, unseated.signers, THRESHOLD)
    return Board(panel=panel, wallet=unseated.wallet, passkey=passkey)


@pytest.fixture(scope="session")
def wilful(furnished):
    source = (Path(__file__).parent / "Arbitration.sol").read_text()
    compiled = compile_source(source, solc_version="0.8.34")
    return SimpleNamespace(
        arbitrator=furnished.relayer.deploy(compiled.WilfulArbitrator),
        arbitrable=furnished.relayer.deploy(compiled.WilfulArbitrable),
    )


@pytest.fixture(scope="session")
def desk(furnished, board):
    """The desk of rentals that the panel rules over."""
    return furnished.relayer.deploy(ArbitrationDesk, furnished.escrow, board.panel)


@pytest.fixture(scope="session")
def wilful_desk(furnished, wilful):
    """The desk of rentals that an arbitrator of ill will rules over."""
    return furnished.relayer.deploy(ArbitrationDesk, furnished.escrow, wilful.arbitrator)


@pytest.fixture
def contested(world, sender) -> Callable[..., Any]:
    """Return what opens a rental with 10 paid and a tail of 2, contests it, and lets the challenge window pass."""

    def _contested(*, arbiter, damage=False, dispute=False, void=False, tail=2 * USD, **changes):
        rental = world.opened(arbiter=arbiter.address, **changes)
        if damage:
            claim_damage(world, rental, sender(rental.owner))
        world.claimed(rental, 10 * USD + tail, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        if dispute:
            world.escrow.dispute(rental.terms, rental.dispute(), {"from": world.relayer})
        if void:
            void_tail(world, rental)
        world.mine_at(rental.dispute_by + 1)
        return rental

    return _contested


def claim_damage(world, rental, owner):
    world.token.mint(owner, rental.bond, {"from": world.relayer})
    world.token.approve(world.escrow, rental.bond, {"from": owner})
    world.escrow.deposit(world.token, account_of(rental.owner), rental.bond, {"from": owner})
    world.escrow.damage(rental.terms, rental.deposit, b"\x07" * 32, b"", {"from": owner})


def void_tail(world, rental):
    lies = (*rental.reading(5, seq=4), *rental.reading(6, seq=4))
    world.escrow.voidTail(rental.pay, rental.rules_hash, *lies, {"from": world.relayer})


@pytest.fixture
def raised(world, board, wilful):
    """Raise a dispute of two choices with the panel; return its id."""

    def _raised(*, choices=2, about=b"the matter"):
        wilful.arbitrable.raiseWith(board.panel, choices, about, {"from": world.relayer})
        return id_of(wilful.arbitrable.address, choices, about)

    return _raised


def id_of(arbitrable: str, choices: int, about: bytes) -> int:
    """Return the name that the panel gives a dispute."""
    return int.from_bytes(
        keccak(encode(["address", "uint256", "bytes"], [arbitrable, choices, about])), "big"
    )


@pytest.fixture
def by(world):
    """Whoever sends: nobody in particular."""
    return {"from": world.relayer}
