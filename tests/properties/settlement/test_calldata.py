"""Our calldata is web3's, of every function of every contract."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from services.settlement.escrow import abi

FUNCTIONS = [
    (name, entry)
    for name in (abi.ESCROW, abi.REGISTRY, abi.TOKEN, abi.ANCHOR)
    for entry in abi._load(name)
    if entry["type"] == "function"
]


def values(item: dict[str, Any], type_: str | None = None) -> st.SearchStrategy[Any]:
    """Return values of an argument's type."""
    kind = type_ or item["type"]
    if kind.endswith("]"):
        inner, _, length = kind[:-1].rpartition("[")
        return st.lists(values(item, inner), min_size=int(length or 0), max_size=int(length) if length else 3)
    if kind == "tuple":
        return st.tuples(*map(values, item["components"]))
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind.removeprefix("uint")) - 1)
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(Web3.to_checksum_address)
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=40)
    length = kind.removeprefix("bytes")
    return st.binary(min_size=int(length or 0), max_size=int(length or 70))


@pytest.mark.parametrize(
    ("name", "entry"), FUNCTIONS, ids=lambda each: each if isinstance(each, str) else each["name"]
)
def test_is_what_web3_encodes(name: str, entry: dict[str, Any]) -> None:
    encoder = Web3().eth.contract(abi=[entry])

    @settings(max_examples=10, deadline=None)
    @given(st.tuples(*map(values, entry["inputs"])))
    def agree(arguments: tuple[Any, ...]) -> None:
        told = encoder.encode_abi(entry["name"], args=list(arguments))
        assert f"0x{abi.calldata(name, entry['name'], *arguments).hex()}" == told

    agree()


def test_there_is_no_calldata_of_what_a_contract_does_not_have() -> None:
    with pytest.raises(KeyError, match="0 functions nothing of 1 arguments"):
        abi.calldata(abi.ESCROW, "nothing", 1)
