"""EIP-712, derived from the models."""

from typing import Any, ClassVar

import pytest
from eth_account.messages import encode_typed_data

from hireling.rental.close import Exit
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Domain,
    TypedData,
    Uint8,
    Uint256,
    digest,
    hash_struct,
    type_hash,
    type_string,
    wallet_json,
)
from tests.builders import DOMAIN, an_agreement


class Person(TypedData):
    """A structure of EIP-712's own example."""

    name: str
    wallet: Address


class Mail(TypedData):
    """The example of EIP-712 itself."""

    # Its first member is called `from` there, a word that Python keeps for itself.
    sender: Person
    to: Person
    contents: str


class Lists(TypedData):
    signed_as: ClassVar[str | None] = "List"

    numbers: tuple[Uint8, ...]
    words: tuple[Bytes32, ...]
    people: tuple[Person, ...]


class TestTypeString:
    def test_appends_referred_types_once(self) -> None:
        assert type_string(Mail) == (
            "Mail(Person sender,Person to,string contents)Person(string name,address wallet)"
        )

    def test_takes_the_name_the_type_is_signed_as(self) -> None:
        assert type_string(Lists) == (
            "List(uint8[] numbers,bytes32[] words,Person[] people)Person(string name,address wallet)"
        )

    def test_is_hashed(self) -> None:
        # keccak256("Person(string name,address wallet)"), from the example in EIP-712's repository.
        expected = "b9d8c78acf9b987311de6c7b45bb6a9c8e1bf361fa7fd3467a2163f994c79500"
        assert type_hash(Person).hex() == expected

    def test_refuses_a_type_that_eip_712_does_not_have(self) -> None:
        class Wrong(TypedData):
            value: float

        with pytest.raises(TypeError, match="float"):
            type_string(Wrong)


class TestHashStruct:
    def test_hashes_the_example_of_eip_712(self) -> None:
        cow = Person(name="Cow", wallet=bytes.fromhex("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"))
        assert hash_struct(cow).hex() == "fc71e5fa27ff56c350aa531bc129ebdf613b772b6604664f5d8dbe21b85eb0c8"

    def test_hashes_lists_as_eth_account_does(self) -> None:
        lists = Lists(
            numbers=(1, 255),
            words=(keccak256(b"word"),),
            people=(Person(name="é", wallet=bytes(20)), Person(name="", wallet=b"\x01" * 20)),
        )
        signable = encode_typed_data(full_message=wallet_json(DOMAIN, lists))
        assert hash_struct(lists) == signable.body

    def test_hashes_an_empty_list(self) -> None:
        empty = Lists(numbers=(), words=(), people=())
        assert hash_struct(empty) == encode_typed_data(full_message=wallet_json(DOMAIN, empty)).body


class TestDomain:
    @pytest.mark.parametrize("change", [{"chain_id": 1}, {"escrow": b"\x01" * 20}])
    def test_every_part_of_it_changes_the_digest(self, change: dict[str, Any]) -> None:
        other = Domain.model_validate({**dict(DOMAIN), **change})
        word = Exit(rental_id=bytes(32))
        assert digest(other, word) != digest(DOMAIN, word)

    def test_takes_a_chain_id_of_256_bits(self) -> None:
        wide = Domain(chain_id=2**256 - 1, escrow=bytes(20))
        word = Exit(rental_id=bytes(32))
        signable = encode_typed_data(full_message=wallet_json(wide, word))
        assert digest(wide, word) == keccak256(b"\x19\x01" + signable.header + signable.body)


class TestWalletJson:
    def test_is_what_wallets_sign(self) -> None:
        agreement = an_agreement()
        signable = encode_typed_data(full_message=wallet_json(DOMAIN, agreement))
        assert keccak256(b"\x19\x01" + signable.header + signable.body) == digest(DOMAIN, agreement)

    def test_a_copy_with_another_member_has_another_hash(self) -> None:
        class Two(TypedData):
            first: Uint256
            second: Uint256

        pair = Two(first=1, second=2)
        hash_struct(pair)
        assert hash_struct(pair.model_copy(update={"second": 3})) == hash_struct(Two(first=1, second=3))
