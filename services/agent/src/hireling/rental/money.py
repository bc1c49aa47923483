"""Money is whole base units of a token; rounding happens once, half-even, on exact fractions."""

import re
from fractions import Fraction

from pydantic import Field

from hireling.rental.errors import Malformed
from hireling.rental.typed_data import Address, Document, Uint8, Uint256

BPS = 10_000
UINT96_MAX = (1 << 96) - 1


class Token(Document):
    """An ERC-20 token: where it is, and how people write it."""

    address: Address
    symbol: str = Field(min_length=1, max_length=16)
    decimals: Uint8
    chain_id: Uint256


def fee_of(amount: int, bps: int) -> int:
    """Return the fee on a cumulative ``amount`` in base units, rounded down as the escrow does.

    ``bps`` are ten-thousandths.
    """
    return amount * bps // BPS


def half_even(value: Fraction) -> int:
    """Return ``value`` rounded to a whole number; a half goes to the even neighbour."""
    return divide_half_even(value.numerator, value.denominator)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return numerator / denominator (denominator > 0) rounded half-even, without building a fraction."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def divide_up(numerator: int, denominator: int) -> int:
    """Return numerator / denominator (denominator > 0) rounded up."""
    return -(-numerator // denominator)


def format_amount(amount: int, token: Token) -> str:
    """Return base units as people read them, exactly: ``12.345678 tUSD``."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, part = divmod(amount, 10**token.decimals)
    digits = f".{part:0{token.decimals}d}" if token.decimals else ""
    return f"{sign}{whole}{digits} {token.symbol}"


def parse_amount(text: str, token: Token) -> int:
    """Return the base units of ``12.5`` or ``12.5 tUSD``.

    Raises Malformed for anything that is not exactly representable.
    """
    number = text.strip().removesuffix(token.symbol).strip()
    match = re.fullmatch(r"([0-9]{1,60})(?:\.([0-9]{1,60}))?", number, re.ASCII)
    if match is None:
        raise Malformed("bad_amount", f"{text!r} is not an amount such as 12.5 {token.symbol}")
    whole, part = match[1], match[2] or ""
    if len(part) > token.decimals:
        raise Malformed(
            "bad_amount", f"{text!r} has {len(part)} decimals, {token.symbol} has {token.decimals}"
        )
    return int(whole + part.ljust(token.decimals, "0"))
