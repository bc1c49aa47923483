"""EIP-712 typed data, derived from the models themselves: a model's fields, in order, are its signed type.

Source: https://eips.ethereum.org/EIPS/eip-712. One definition signs, verifies and describes the wire.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from hireling.rental.hashing import keccak256
from hireling.rental.values import (
    Address,
    Bool,
    Bytes32,
    ByteString,
    HexBytes,
    Int128,
    Integer,
    KeyBytes,
    SignerBytes,
    Uint8,
    Uint16,
    Uint32,
    Uint40,
    Uint64,
    Uint96,
    Uint128,
    Uint256,
    from_hex,
    to_hex,
)

__all__ = [
    "Address", "Bool", "Bytes32", "Document", "Domain", "HexBytes", "Int128", "KeyBytes", "SignerBytes",
    "TypedData", "Uint8", "Uint16", "Uint32", "Uint40", "Uint64", "Uint96", "Uint128", "Uint256",
    "digest", "digest_of_hash", "domain_of", "from_hex", "hash_struct", "to_hex", "type_hash", "type_string",
    "wallet_json",
]  # fmt: skip

Encoder = Callable[[Any], bytes]
PROTOCOL = "Hireling"
VERSION = "1"
DOMAIN_MEMBERS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)


class Document(BaseModel):
    """The base of everything on the wire: frozen, and nothing in it that is not in its definition."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TypedData(Document):
    """The base of what is signed. ``signed_as`` names the type where the class is called otherwise."""

    signed_as: ClassVar[str | None] = None


class Domain(Document):
    """What a signature is bound to: a chain and a contract on it.

    The escrow's domain, unless another contract is given.
    """

    chain_id: Uint256
    escrow: Address

    @property
    def separator(self) -> bytes:
        """Return the EIP-712 domain separator."""
        return _separator(self.chain_id, self.escrow)


@lru_cache(maxsize=256)
def domain_of(chain_id: int, escrow: bytes) -> Domain:
    """Return this domain, checked and made once however often it is asked for."""
    return Domain(chain_id=chain_id, escrow=escrow)


def type_string(cls: type[TypedData]) -> str:
    """Return the encoding of the type: its own members, then the types it refers to, sorted by name."""
    referred = sorted(_referred(cls) - {cls}, key=_name)
    return "".join(_own_type_string(each) for each in (cls, *referred))


@lru_cache(maxsize=256)
def type_hash(cls: type[TypedData]) -> bytes:
    """Return the Keccak-256 of the type's encoding."""
    return keccak256(type_string(cls).encode())


def hash_struct(obj: TypedData) -> bytes:
    """Return EIP-712's hashStruct of ``obj``."""
    return _struct_encoder(type(obj))(obj)


def digest(domain: Domain, obj: TypedData) -> bytes:
    """Return what is signed: the 32-byte EIP-712 digest of ``obj`` in ``domain``."""
    return digest_of_hash(domain, hash_struct(obj))


def digest_of_hash(domain: Domain, struct_hash: bytes) -> bytes:
    """Return the digest for a hashStruct that is already known."""
    return keccak256(b"\x19\x01" + _separator(domain.chain_id, domain.escrow) + struct_hash)


def wallet_json(domain: Domain, obj: TypedData) -> dict[str, Any]:
    """Return the argument of a wallet's ``eth_signTypedData_v4``; integers are decimal strings."""
    types = {
        _name(each): [{"name": name, "type": type_} for name, type_ in _members(each)]
        for each in sorted(_referred(type(obj)), key=_name)
    }
    return {
        "types": {"EIP712Domain": [{"name": name, "type": type_} for name, type_ in DOMAIN_MEMBERS], **types},
        "primaryType": _name(type(obj)),
        "domain": {
            "name": PROTOCOL,
            "version": VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": to_hex(domain.escrow),
        },
        "message": obj.model_dump(mode="json"),
    }


@lru_cache(maxsize=1024)
def _separator(chain_id: int, contract: bytes) -> bytes:
    domain_type = "EIP712Domain(" + ",".join(f"{type_} {name}" for name, type_ in DOMAIN_MEMBERS) + ")"
    return keccak256(
        keccak256(domain_type.encode())
        + keccak256(PROTOCOL.encode())
        + keccak256(VERSION.encode())
        + chain_id.to_bytes(32, "big")
        + contract.rjust(32, b"\x00")
    )


def _name(cls: type[TypedData]) -> str:
    return cls.signed_as or cls.__name__


def _own_type_string(cls: type[TypedData]) -> str:
    return f"{_name(cls)}({','.join(f'{type_} {name}' for name, type_ in _members(cls))})"


def _members(cls: type[TypedData]) -> Iterator[tuple[str, str]]:
    for name, annotation in _annotations(cls):
        yield name, _solidity(annotation)


def _annotations(cls: type[TypedData]) -> Iterator[tuple[str, Any]]:
    for name, info in cls.model_fields.items():
        # pydantic moves what Annotated says from the annotation to the field; only the type's width matters
        # here.
        marker = next((extra for extra in info.metadata if isinstance(extra, Integer | ByteString)), None)
        yield name, info.annotation if marker is None else Annotated[info.annotation, marker]


def _referred(cls: type[TypedData]) -> set[type[TypedData]]:
    found = {cls}
    for _, annotation in _annotations(cls):
        member = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
        if isinstance(member, type) and issubclass(member, TypedData):
            found |= _referred(member)
    return found


def _marker(annotation: Any) -> Integer | ByteString | None:
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Integer | ByteString):
            return extra
    return None


def _solidity(annotation: Any) -> str:
    marker = _marker(annotation)
    if marker is not None:
        return marker.solidity
    if get_origin(annotation) is tuple:
        return _solidity(get_args(annotation)[0]) + "[]"
    if isinstance(annotation, type) and issubclass(annotation, TypedData):
        return _name(annotation)
    if annotation is str:
        return "string"
    if annotation is bool:
        return "bool"
    raise TypeError(f"{annotation} has no EIP-712 type")


@lru_cache(maxsize=256)
def _struct_encoder(cls: type[TypedData]) -> Encoder:
    """Return a function that hashes a ``cls``; built once: hashing a reading inspects no annotation."""
    names, encoders = zip(
        *((name, _encoder(annotation)) for name, annotation in _annotations(cls)), strict=True
    )
    head = type_hash(cls)
    if len(names) == 1:
        single, encode = attrgetter(names[0]), encoders[0]
        return lambda obj: keccak256(head + encode(single(obj)))
    values = attrgetter(*names)
    return lambda obj: keccak256(
        head + b"".join([encode(value) for encode, value in zip(encoders, values(obj), strict=True)])
    )


def _encoder(annotation: Any) -> Encoder:
    if get_origin(annotation) is tuple:
        element = _encoder(get_args(annotation)[0])
        return lambda values: keccak256(b"".join([element(value) for value in values]))
    if isinstance(annotation, type) and issubclass(annotation, TypedData):
        return _struct_encoder(annotation)
    solidity = _solidity(annotation)
    return _ENCODERS.get(solidity) or _ENCODERS[solidity.rstrip("0123456789")]


# By Solidity type, with its width where that matters: a member is always one word of 32 bytes.
_ENCODERS: dict[str, Encoder] = {
    "bytes32": bytes,
    "bytes": keccak256,
    "string": lambda text: keccak256(text.encode()),
    "address": lambda address: address.rjust(32, b"\x00"),
    "bool": lambda flag: flag.to_bytes(32, "big"),
    "uint": lambda number: number.to_bytes(32, "big"),
    "int": lambda number: number.to_bytes(32, "big", signed=True),
}
