"""The values that signed objects are made of: integers of a stated width, bytes of a stated length.

Input is strict: an integer is an ``int`` or a decimal string, never a bool or a float; bytes are ``bytes`` or
``"0x…"``. JSON output is the decimal string, since JSON's numbers lose integers beyond 2**53, and lower-case
hex.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StrictBool
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
# The longest integer anyone may send: uint256 has 78 digits. Longer strings are refused before they are
# parsed.
LONGEST_DECIMAL = 79
ADDRESS_BYTES = 20
HASH_BYTES = 32
POINT_BYTES = 64
# Signers and signatures of wallets with code (ERC-7913, WebAuthn) stay well below this.
LONGEST_BYTES = 8192


@dataclass(frozen=True)
class Integer:
    """A whole number of ``bits`` bits; ``solidity`` is its EIP-712 type.

    With ``names`` only the named values are allowed.
    """

    bits: int
    signed: bool = False
    names: type[IntEnum] | None = None
    solidity: str = field(init=False)
    range: tuple[int, int] = field(init=False)
    """The lowest and the highest value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "solidity", f"{'int' if self.signed else 'uint'}{self.bits}")
        half = 1 << self.bits - 1
        object.__setattr__(self, "range", (-half, half - 1) if self.signed else (0, 2 * half - 1))

    def parse(self, value: object) -> int:
        """Return ``value`` as an integer of this type. Raises ValueError with the number and the range."""
        if type(value) is not int:
            value = self._from_other(value)
        lowest, highest = self.range
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is outside {self.solidity}, {lowest} to {highest}")
        return value if self.names is None else self.names(value)

    def _from_other(self, value: object) -> int:
        if isinstance(value, IntEnum):
            return int(value)
        if (
            isinstance(value, str)
            and len(value) <= LONGEST_DECIMAL
            and DECIMAL.fullmatch(value)
            and value != "-0"
        ):
            return int(value)
        raise ValueError(f"{value!r} is not a whole number: give an integer or a decimal string")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                int.__repr__, when_used="json", return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        lowest, highest = self.range
        text: JsonSchemaValue = {
            "type": "string",
            "format": self.solidity,
            "maxLength": len(str(lowest if self.signed else highest)),
        }
        text["pattern"] = r"^(0|-?[1-9][0-9]*)$" if self.signed else r"^(0|[1-9][0-9]*)$"
        if self.names is not None:
            text = {"type": "string", "enum": [str(int(name)) for name in self.names]}
        if handler.mode == "serialization":
            return text
        number: JsonSchemaValue = {"type": "integer", "minimum": lowest, "maximum": highest}
        if self.names is not None:
            number = {"type": "integer", "enum": [int(name) for name in self.names]}
        return {"anyOf": [text, number]}


@dataclass(frozen=True)
class ByteString:
    """Bytes of one of the given ``lengths``, or of ``shortest`` to LONGEST_BYTES.

    ``solidity`` is the EIP-712 type.
    """

    solidity: str
    lengths: tuple[int, ...] = ()
    shortest: int = 0

    def parse(self, value: object) -> bytes:
        """Return ``value`` as bytes of an allowed length. Raises ValueError with the length."""
        if isinstance(value, str):
            value = from_hex(value)
        elif not isinstance(value, bytes):
            raise ValueError(f"{type(value).__name__} is not bytes: give bytes or 0x-hex")  # noqa: TRY004  pydantic
        length = len(value)
        if self.lengths:
            if length not in self.lengths:
                raise ValueError(f"{length} bytes, not {' or '.join(map(str, self.lengths))}")
        elif not self.shortest <= length <= LONGEST_BYTES:
            raise ValueError(f"{length} bytes, not {self.shortest} to {LONGEST_BYTES}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                to_hex, when_used="json", return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if self.lengths:
            choices = "|".join(f"[0-9a-fA-F]{{{2 * length}}}" for length in self.lengths)
        else:
            choices = f"([0-9a-fA-F]{{2}}){{{self.shortest},{LONGEST_BYTES}}}"
        return {"type": "string", "format": self.solidity, "pattern": f"^0x({choices})$"}


def to_hex(value: bytes) -> str:
    """Return ``value`` as ``"0x…"``, lower case."""
    return "0x" + value.hex()


Uint8 = Annotated[int, Integer(8)]
Uint16 = Annotated[int, Integer(16)]
Uint32 = Annotated[int, Integer(32)]
Uint40 = Annotated[int, Integer(40)]
Uint64 = Annotated[int, Integer(64)]
Uint96 = Annotated[int, Integer(96)]
Uint128 = Annotated[int, Integer(128)]
Uint256 = Annotated[int, Integer(256)]
# A bill's line may take away: what a maximum cuts off.
Int128 = Annotated[int, Integer(128, signed=True)]

Bytes32 = Annotated[bytes, ByteString("bytes32", lengths=(HASH_BYTES,))]
Address = Annotated[bytes, ByteString("address", lengths=(ADDRESS_BYTES,))]
HexBytes = Annotated[bytes, ByteString("bytes")]
# A key whose answer can never change: a 20-byte address, or a 64-byte P-256 point qx|qy.
KeyBytes = Annotated[bytes, ByteString("bytes", lengths=(ADDRESS_BYTES, POINT_BYTES))]
# Any ERC-7913 signer: at least an address.
SignerBytes = Annotated[bytes, ByteString("bytes", shortest=ADDRESS_BYTES)]

Bool = StrictBool


def from_hex(text: str) -> bytes:
    """Return the bytes of 0x-hex. Raises ValueError for anything else."""
    try:
        value = bytes.fromhex(text[2:])
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not 0x-hex") from error
    # fromhex skips white space, and then the text is longer than its bytes say.
    if not text.startswith("0x") or len(text) != 2 + 2 * len(value):
        raise ValueError(f"{text[:80]!r} is not 0x-hex")
    return value
