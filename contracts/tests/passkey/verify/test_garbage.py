"""See verify.tree: whatever is sent as a signature authorises nothing, unless the passkey made it."""

import hypothesis.strategies as st
import pytest
from brownie import web3
from eth_abi import encode
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from webauthn import AUTH_TYPES, client_data
from world import call_object

HASH = keccak(text="a digest")
MAGIC = keccak(text="verify(bytes,bytes32,bytes)")[:4] + bytes(28)
GAS = 1_000_000
EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

words = st.integers(0, 2**256 - 1)
offsets = st.one_of(st.integers(0, 1024), words, st.integers(2**256 - 64, 2**256 - 1))
assertions = st.builds(
    lambda r, s, places, data, text: encode(
        AUTH_TYPES, [r.to_bytes(32, "big"), s.to_bytes(32, "big"), *places, data, text]
    ),
    words,
    words,
    st.tuples(offsets, offsets),
    st.binary(max_size=80),
    st.one_of(st.text(max_size=80), st.just(client_data(HASH))),
)


def authorises(passkey, inner):
    """Ask as the escrow does: by a call whose failure, for whatever reason, is a no."""
    call = {**call_object(passkey.verifier.verify, passkey.point, HASH, inner), "gas": hex(GAS)}
    said = web3.provider.make_request("eth_call", [call, "latest"])
    return bytes.fromhex(said.get("result", "0x")[2:]) == MAGIC


@EXAMPLES
@given(inner=st.binary(max_size=700))
def test_bytes_of_any_kind_authorise_nothing(passkey, inner):
    assert not authorises(passkey, inner)


@EXAMPLES
@given(inner=assertions)
def test_well_formed_assertions_that_nobody_made_authorise_nothing(passkey, inner):
    assert not authorises(passkey, inner)


@EXAMPLES
@given(data=st.data())
def test_one_word_replaced_by_another_authorises_nothing(passkey, data):
    """The head: both numbers, both places, both offsets."""
    good = passkey.assertion(HASH).encode()
    position = 32 * data.draw(st.integers(0, 5))
    other = data.draw(
        offsets.filter(lambda word: word != int.from_bytes(good[position : position + 32], "big"))
    )
    changed = good[:position] + other.to_bytes(32, "big") + good[position + 32 :]

    assert authorises(passkey, good)
    assert not authorises(passkey, changed)


@EXAMPLES
@given(data=st.data())
def test_one_bit_flipped_in_what_was_signed_authorises_nothing(passkey, data):
    made = passkey.assertion(HASH)
    good = made.encode()
    part = data.draw(st.sampled_from([made.authenticator_data, made.client_data_json.encode()]))
    bit = data.draw(st.integers(0, 8 * len(part) - 1))
    changed = bytearray(good)
    changed[good.index(part) + bit // 8] ^= 1 << bit % 8

    assert authorises(passkey, good)
    assert not authorises(passkey, bytes(changed))


def test_a_truncated_assertion_authorises_nothing(passkey):
    """Wherever the cut is before the last byte that was signed."""
    made = passkey.assertion(HASH)
    good = made.encode()
    text = made.client_data_json.encode()
    end = good.index(text) + len(text)

    assert authorises(passkey, good[:end])
    assert not any(authorises(passkey, good[:length]) for length in range(end))


@pytest.mark.parametrize("length", [2**20, 2**256 - 1])
def test_lengths_beyond_the_signature_authorise_nothing(passkey, length):
    good = bytearray(passkey.assertion(HASH).encode())
    at = int.from_bytes(good[128:160], "big")
    good[at : at + 32] = length.to_bytes(32, "big")

    assert not authorises(passkey, bytes(good))
