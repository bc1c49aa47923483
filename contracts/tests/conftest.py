"""The contracts on a chain of their own, and the people who use them. Each test starts from the same chain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from brownie import DeviceRegistry, RentalEscrow, TestStablecoin, accounts, chain, web3
from eth_abi import decode
from eth_utils import keccak
from rental import NOBODY, USD, Rental
from signing import Secp256k1Key, account_of, digest, domain

PURSE = 1_000 * USD


def rpc(method: str, *params: Any) -> Any:
    answer = web3.provider.make_request(method, list(params))
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


def canonical(entry: dict[str, Any]) -> str:
    """Return an ABI type with its tuples written out."""
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(map(canonical, entry["components"])) + ")" + entry["type"][5:]


@dataclass(frozen=True)
class World:
    escrow: Any
    token: Any
    registry: Any
    relayer: Any

    @property
    def now(self) -> int:
        return int(web3.eth.get_block("latest")["timestamp"])

    def mine_at(self, timestamp: int) -> None:
        """Mine a block at exactly this second; what is asked of the chain after it is answered as of then."""
        rpc("evm_setNextBlockTimestamp", timestamp)
        rpc("evm_mine")

    def next_at(self, timestamp: int) -> None:
        """Let the next transaction happen at exactly this second."""
        rpc("evm_setNextBlockTimestamp", timestamp)

    def rental(self, **changes: Any) -> Rental:
        return Rental(escrow=self.escrow.address, token=self.token.address, starts=self.now, **changes)

    def opened(self, *, funded_bps: int = 10_000, **changes: Any) -> Rental:
        rental = self.rental(**changes)
        signature = rental.agreement_signature if funded_bps == 10_000 else rental.fund(funded_bps)
        self.escrow.open(rental.terms, funded_bps, signature, {"from": self.relayer})
        return rental

    def claimed(self, rental: Rental, amount_due: int, max_claimable: int, ack_amount: int, *, seq: int = 1) -> None:
        """Claim as of an hour into the rental, or now if that is later."""
        self.next_at(max(rental.starts + 3600, self.now + 1))
        row = rental.claim(amount_due, max_claimable, ack_amount, seq=seq)
        self.escrow.claim(row, NOBODY, {"from": self.relayer})

    def permit(self, holder: Secp256k1Key, value: int, deadline: int) -> tuple[Any, ...]:
        values = {
            "owner": holder.address,
            "spender": self.escrow.address,
            "value": value,
            "nonce": self.token.nonces(holder.address),
            "deadline": deadline,
        }
        signature = holder.sign(digest(self.token_domain, "Permit", values))
        return (value, deadline, signature[64], signature[:32], signature[32:64])

    def authorization(self, holder: Secp256k1Key, value: int, nonce: bytes) -> tuple[Any, ...]:
        until = self.now + 3600
        values = {
            "from": holder.address,
            "to": self.escrow.address,
            "value": value,
            "validAfter": 0,
            "validBefore": until,
            "nonce": nonce,
        }
        signature = holder.sign(digest(self.token_domain, "ReceiveWithAuthorization", values))
        return (0, until, signature[64], signature[:32], signature[32:64])

    @property
    def token_domain(self) -> dict[str, Any]:
        return domain(self.token.address, name="Hireling Test Dollar")

    def slot(self, rental: Rental) -> tuple[int, ...]:
        """Return paid, tail, claim_by, funded_bps, status."""
        return tuple(int(value) for value in self.escrow.rentals(rental.id))

    def credit(self, key: Any) -> int:
        """Return what a signer's account holds inside the escrow."""
        account = keccak(bytes.fromhex(key[2:])) if isinstance(key, str) else account_of(key)
        return int(self.escrow.balances(self.token.address, account)[0])

    def purse(self, key: Any) -> int:
        return int(self.token.balanceOf(key if isinstance(key, str) else key.address))

    @property
    def held(self) -> int:
        return int(self.token.balanceOf(self.escrow.address))

    def refusal(self, function: Any, *args: Any, sender: Any = None) -> tuple[Any, ...]:
        """Return the custom error, with its numbers, that a call would revert with now."""
        sender = sender or self.relayer
        call = {
            "from": getattr(sender, "address", sender),
            "to": function._address,
            "data": function.encode_input(*args),
        }
        answer = web3.provider.make_request("eth_call", [call, "latest"])
        if "error" not in answer:
            raise AssertionError(f"{function._name} was not refused")
        return self._decode_error(answer["error"])

    def _decode_error(self, error: dict[str, Any]) -> tuple[Any, ...]:
        data = bytes.fromhex(str(error.get("data", "0x"))[2:])
        for entry in [*self.escrow.abi, *self.registry.abi, *self.token.abi]:
            if entry["type"] != "error":
                continue
            types = [canonical(each) for each in entry["inputs"]]
            if keccak(text=f"{entry['name']}({','.join(types)})")[:4] == data[:4]:
                return (entry["name"], *decode(types, data[4:]))
        raise AssertionError(f"not a known error: {error}")


@pytest.fixture(scope="session")
def deployed() -> World:
    deployer = accounts[0]
    return World(
        escrow=deployer.deploy(RentalEscrow),
        token=deployer.deploy(TestStablecoin),
        registry=deployer.deploy(DeviceRegistry),
        relayer=accounts[1],
    )


@pytest.fixture(scope="session")
def furnished(deployed: World) -> World:
    """Give the renter money, and the escrow leave to take it."""
    renter = as_sender(Secp256k1Key("renter"))
    deployed.token.mint(renter, PURSE, {"from": deployed.relayer})
    deployed.token.approve(deployed.escrow, PURSE, {"from": renter})
    return deployed


@pytest.fixture
def world(furnished: World) -> Iterator[World]:
    # Brownie's own snapshot, since Brownie remembers nonces.
    chain.snapshot()
    yield furnished
    chain.revert()


def as_sender(key: Secp256k1Key) -> Any:
    """Return a key as an account that sends transactions; gas is free on this chain."""
    return accounts.add(key.account.key.hex())


@pytest.fixture
def sender() -> Callable[[Secp256k1Key], Any]:
    return as_sender


@pytest.fixture
def nobody() -> tuple[str, str]:
    """Payees that credit both sides instead of pushing."""
    return (NOBODY, NOBODY)


@pytest.fixture(autouse=True)
def _chain_is_the_tests_own() -> None:
    assert chain.id == 31337
