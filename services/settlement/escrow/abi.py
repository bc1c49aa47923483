"""The contracts' ABIs, as the contracts' own build exported them, ready to encode and decode with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from web3 import Web3

from hireling.rental.hashing import keccak256

FOLDER = Path(__file__).resolve().parents[1] / "abi"
ESCROW, REGISTRY, TOKEN, ANCHOR = "RentalEscrow", "DeviceRegistry", "TestStablecoin", "BatchAnchor"
WORD = 32


@dataclass(frozen=True)
class Signature:
    """An error or event of a contract.

    Its name, and its arguments' names, types and whether they are indexed.
    """

    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    indexed: tuple[bool, ...]

    @property
    def selector_source(self) -> bytes:
        """Return the Keccak-256 of the canonical signature."""
        return keccak256(f"{self.name}({','.join(self.types)})".encode())


def calldata(name: str, function: str, *arguments: Any) -> bytes:
    """Return the calldata of a function of the named contract. Raises KeyError where there is no such."""
    selector, types = _function(name, function, len(arguments))
    return selector + encode(types, arguments)


def checksummed(address: bytes) -> str:
    """Return an address as web3 wants it."""
    return Web3.to_checksum_address(address)


@cache
def errors() -> Mapping[bytes, Signature]:
    """Return every error of every contract by its four-byte selector."""
    found = (each for name in (ESCROW, REGISTRY, TOKEN, ANCHOR) for each in _signatures(name, "error"))
    return {each.selector_source[:4]: each for each in found}


@cache
def events(name: str) -> Mapping[bytes, Signature]:
    """Return the named contract's events by their first topic."""
    return {each.selector_source: each for each in _signatures(name, "event")}


def decoded_log(event: Signature, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    """Return an event's arguments by name."""
    plain = [type_ for type_, indexed in zip(event.types, event.indexed, strict=True) if not indexed]
    values, later = iter(decode(plain, data)), iter(topics[1:])
    return {
        name: decode([type_], next(later))[0] if indexed else next(values)
        for name, type_, indexed in zip(event.names, event.types, event.indexed, strict=True)
    }


def decoded_error(data: bytes) -> tuple[str, tuple[Any, ...]]:
    """Return a revert's name and arguments; a plain ``require`` is Error with its text."""
    if data[:4] == keccak256(b"Error(string)")[:4]:
        return "Error", tuple(decode(["string"], data[4:]))
    known = errors().get(data[:4])
    if known is None:
        return f"0x{data.hex()}" if data else "no reason", ()
    return known.name, tuple(decode(list(known.types), data[4:]))


@cache
def _function(name: str, function: str, takes: int) -> tuple[bytes, tuple[str, ...]]:
    """Return the selector and the types of the one function of this name that takes so many arguments."""
    found = [
        tuple(map(_type, entry["inputs"]))
        for entry in _load(name)
        if entry["type"] == "function" and entry["name"] == function and len(entry["inputs"]) == takes
    ]
    if len(found) != 1:
        raise KeyError(f"{name} has {len(found)} functions {function} of {takes} arguments")
    return keccak256(f"{function}({','.join(found[0])})".encode())[:4], found[0]


def _type(item: Mapping[str, Any]) -> str:
    """Return an argument's canonical type: a struct is the tuple of its members."""
    plain = str(item["type"])
    if not plain.startswith("tuple"):
        return plain
    members = ",".join(map(_type, item["components"]))
    return f"({members}){plain.removeprefix('tuple')}"


def _load(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def _signatures(name: str, kind: str) -> list[Signature]:
    return [
        Signature(
            name=entry["name"],
            names=tuple(item["name"] for item in entry["inputs"]),
            types=tuple(item["type"] for item in entry["inputs"]),
            indexed=tuple(item.get("indexed", False) for item in entry["inputs"]),
        )
        for entry in _load(name)
        if entry["type"] == kind
    ]
