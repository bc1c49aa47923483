"""The contracts as a test sees them: what they hold, what they refuse, and the clock of their chain."""

import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from brownie import chain, history, project, web3
from eth_abi import decode
from eth_utils import keccak
from rental import NOBODY, Rental
from signing import Secp256k1Key, account_of, digest, domain
from web3.middleware import Web3Middleware

RECEIPT_SECONDS = 20


def rpc(method: str, *params: Any) -> Any:
    answer = web3.provider.make_request(method, list(params))
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


class ReceiptFirst(Web3Middleware):
    """Answer a sent transaction only when it is in a block.

    The chain mines each transaction at once, but beside the answer. Brownie asks for the receipt at once too: not finding it, it
    sleeps a second, or takes the transaction for dropped.
    """

    def wrap_make_request(self, make_request: Any) -> Any:
        def send(method: str, params: Any) -> Any:
            answer = make_request(method, params)
            if method in {"eth_sendTransaction", "eth_sendRawTransaction"} and "result" in answer:
                self._await_receipt(make_request, answer["result"])
            return answer

        return send

    @staticmethod
    def _await_receipt(make_request: Any, transaction: str) -> None:
        deadline = time.monotonic() + RECEIPT_SECONDS
        while make_request("eth_getTransactionReceipt", [transaction])["result"] is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{transaction} was not mined within {RECEIPT_SECONDS} s")
            time.sleep(0.002)


def take_snapshot() -> str:
    return str(rpc("evm_snapshot"))


def revert_to(snapshot: str) -> None:
    """Take the chain back. Brownie's own revert walks its call stack to warn of it, which takes 0.2 s each time."""
    let_brownie_finish()
    rpc("evm_revert", snapshot)
    # Else Brownie waits for the nonces that it remembers.
    history.clear()


def let_brownie_finish() -> None:
    """Wait for the threads in which Brownie notes how each transaction could be undone.

    They ask for the newest block, and while the chain is taken back there is none.
    """
    for thread in threading.enumerate():
        if getattr(thread, "_target", None) == chain._add_to_undo_buffer:
            thread.join(RECEIPT_SECONDS)


def call_object(function: Any, *args: Any) -> dict[str, str]:
    return {"to": function._address, "data": function.encode_input(*args)}


def canonical(entry: dict[str, Any]) -> str:
    """Return an ABI type with its tuples written out."""
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(map(canonical, entry["components"])) + ")" + entry["type"][5:]


@cache
def known_errors() -> list[dict[str, Any]]:
    """Return the custom errors of every contract of the project."""
    (loaded,) = project.get_loaded_projects()
    return [entry for container in loaded for entry in container.abi if entry["type"] == "error"]


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

    def claimed(
        self, rental: Rental, amount_due: int, max_claimable: int, ack_amount: int, *, seq: int = 1
    ) -> None:
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

    def read(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Answer many views at once: each is a function and its arguments."""
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [call_object(*call), "latest"]}
            for number, call in enumerate(calls)
        ]
        answers = requests.post(web3.provider.endpoint_uri, json=batch, timeout=10).json()
        in_order = sorted(answers, key=lambda answer: answer["id"])
        return [call[0].decode_output(answer["result"]) for call, answer in zip(calls, in_order, strict=True)]

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

    def refusal(self, function: Any, *args: Any, sender: Any = None, wei: int = 0) -> tuple[Any, ...]:
        """Return the custom error, with its numbers, that a call would revert with now."""
        return self.refusal_of(call_object(function, *args), sender=sender, wei=wei)

    def refusal_of(self, call: dict[str, str], *, sender: Any = None, wei: int = 0) -> tuple[Any, ...]:
        """Return the custom error of an encoded call; nothing if it reverts without a reason."""
        call = {"from": (sender or self.relayer).address, "value": hex(wei), **call}
        answer = web3.provider.make_request("eth_call", [call, "latest"])
        if "error" not in answer:
            raise AssertionError(f"{call['data'][:10]} was not refused")
        return self._decode_error(answer["error"])

    def _decode_error(self, error: dict[str, Any]) -> tuple[Any, ...]:
        data = bytes.fromhex(str(error.get("data", "0x"))[2:])
        if not data:
            return ()
        for entry in known_errors():
            types = [canonical(each) for each in entry["inputs"]]
            if keccak(text=f"{entry['name']}({','.join(types)})")[:4] == data[:4]:
                return (entry["name"], *decode(types, data[4:]))
        raise AssertionError(f"not a known error: {error}")
