"""What must hold for any object on the wire: JSON gives it back, and its hash with it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental.documents import canonical_json, document_hash
from hireling.rental.listing import sign_listing
from hireling.rental.offer import sign_offer
from hireling.rental.signing import P256Key, Secp256k1Key, signer_of
from hireling.rental.typed_data import Document, TypedData, digest, hash_struct
from tests.builders import (
    DOMAIN,
    OWNER_AGENT_KEY,
    a_listing,
    a_mandate,
    a_reading_chain,
    a_request,
    an_offer,
    platform_terms,
    signed_agreement,
)
from tests.vectors.bills import a_signed_bill
from tests.vectors.types import examples

DOCUMENTS: tuple[Document, ...] = (
    platform_terms(),
    sign_listing(OWNER_AGENT_KEY, DOMAIN, a_listing()),
    a_mandate(approval_above=3),
    a_request(budget=5),
    sign_offer(OWNER_AGENT_KEY, an_offer()),
    signed_agreement(),
    *a_reading_chain(3),
    a_signed_bill(),
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class TestRoundTrip:
    @pytest.mark.parametrize("example", examples(), ids=lambda each: type(each).__name__)
    def test_of_every_signed_type_keeps_its_hash(self, example: TypedData) -> None:
        for again in (
            type(example).model_validate_json(example.model_dump_json()),
            type(example).model_validate(json.loads(example.model_dump_json())),
            type(example).model_validate(example.model_dump()),
        ):
            assert again == example
            assert hash_struct(again) == hash_struct(example)

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: type(each).__name__)
    def test_of_every_document_keeps_its_hash(self, document: Document) -> None:
        again = type(document).model_validate(json.loads(document.model_dump_json()))
        assert again == document
        assert document_hash(again) == document_hash(document)


class TestCanonicalJson:
    @given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
    def test_means_what_it_is_of_and_has_one_form(self, document: dict[str, Any]) -> None:
        canonical = canonical_json(document)
        assert json.loads(canonical) == document
        assert canonical_json(json.loads(canonical)) == canonical
        assert canonical_json(dict(reversed(document.items()))) == canonical


class TestSignatures:
    @given(st.binary(min_size=32, max_size=32), st.sampled_from((Secp256k1Key, P256Key)))
    @settings(max_examples=50)
    def test_name_their_signer(self, message: bytes, kind: type[Secp256k1Key] | type[P256Key]) -> None:
        key = kind.generate()
        assert signer_of(message, key.sign_digest(message)) == key.identity


class TestHashing:
    @pytest.mark.parametrize("example", examples(), ids=lambda each: type(each).__name__)
    def test_every_member_changes_the_digest(self, example: TypedData) -> None:
        found = {digest(DOMAIN, example)}
        for name in type(example).model_fields:
            value = getattr(example, name)
            if isinstance(value, TypedData):
                continue
            other = example.model_copy(update={name: _another(value)})
            found.add(digest(DOMAIN, other))
        plain = [
            name for name in type(example).model_fields if not isinstance(getattr(example, name), TypedData)
        ]
        assert len(found) == 1 + len(plain)


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, str):
        return value + "2"
    if isinstance(value, tuple):
        return (*value, 5)
    return int(value) - 1 if int(value) else 1
