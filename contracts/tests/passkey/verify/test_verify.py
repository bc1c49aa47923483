"""See verify.tree."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from brownie import web3
from eth_utils import keccak
from signing import P256_ORDER
from webauthn import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    EXTENSIONS,
    PRESENT_AND_VERIFIED,
    USER_PRESENT,
    USER_VERIFIED,
    Passkey,
    assertion_from,
    authenticator_data,
    base64url,
    client_data,
)
from world import call_object

# Made by a browser and its authenticator, as their answers were: DER signatures, with whichever s.
RECORDED = json.loads((Path(__file__).parent / "browser_assertions.json").read_text())
HASH = keccak(text="a digest")
SELECTOR = keccak(text="verify(bytes,bytes32,bytes)")[:4]
REFUSED = b"\xff" * 4
# A whole transaction takes 43,000 by the precompile, and 290,000 where the curve is computed in Solidity.
GAS_WITH_PRECOMPILE = 60_000


def answer(passkey, assertion, *, key=None, asked=HASH):
    inner = assertion if isinstance(assertion, bytes) else assertion.encode()
    return bytes(passkey.verifier.verify(passkey.point if key is None else key, asked, inner))


class TestAccepts:
    def test_an_assertion_over_the_hash(self, passkey):
        assert answer(passkey, passkey.assertion(HASH)) == SELECTOR

    @pytest.mark.parametrize("backup", [0, BACKUP_ELIGIBLE, BACKUP_ELIGIBLE | BACKED_UP])
    def test_credentials_of_one_device_and_synced_ones(self, passkey, backup):
        assert answer(passkey, passkey.assertion(HASH, flags=PRESENT_AND_VERIFIED | backup)) == SELECTOR

    def test_extensions_behind_the_counter(self, passkey):
        data = authenticator_data(PRESENT_AND_VERIFIED | EXTENSIONS) + bytes.fromhex("a1676578616d706c6501")

        assert answer(passkey, passkey.assertion_of(data, client_data(HASH))) == SELECTOR

    def test_members_that_browsers_add(self, passkey):
        text = client_data(HASH)[:-1] + ',"other_keys_can_be_added_here":"do not compare clientDataJSON"}'

        assert (
            answer(passkey, passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)) == SELECTOR
        )

    @pytest.mark.parametrize(
        "made", RECORDED["assertions"], ids=["plain", "with another key", "with the upper s"]
    )
    def test_what_a_browser_made(self, verifier, made):
        point, asked, data = (
            bytes.fromhex(each) for each in (RECORDED["point"], made["challenge"], made["authenticator_data"])
        )
        assertion = assertion_from(bytes.fromhex(made["signature"]), data, made["client_data_json"])

        assert bytes(verifier.verify(point, asked, assertion.encode())) == SELECTOR

    def test_by_the_precompile(self, passkey):
        call = call_object(passkey.verifier.verify, passkey.point, HASH, passkey.assertion(HASH).encode())

        assert web3.eth.estimate_gas(call) < GAS_WITH_PRECOMPILE


class TestDoesNotLookAt:
    """What is bound by browser and authenticator alone: SPECIFICATION 10.4."""

    def test_the_origin(self, passkey):
        assert answer(passkey, passkey.assertion(HASH, origin="https://elsewhere.example")) == SELECTOR

    def test_the_site_that_the_passkey_belongs_to(self, passkey):
        data = authenticator_data(PRESENT_AND_VERIFIED, rp_id="elsewhere.example")

        assert answer(passkey, passkey.assertion_of(data, client_data(HASH))) == SELECTOR

    def test_the_counter(self, passkey):
        later = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED, count=7), client_data(HASH))
        earlier = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED, count=3), client_data(HASH))

        assert [answer(passkey, each) for each in (later, earlier)] == [SELECTOR, SELECTOR]

    def test_where_in_it_a_client_of_its_own_making_wrote_the_challenge(self, passkey):
        inner = f'"challenge":"{base64url(HASH)}"'
        text = '{"type":"webauthn.get","challenge":"none","more":{' + inner + "}}"
        made = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)

        assert answer(passkey, made) == REFUSED
        assert answer(passkey, replace(made, challenge_index=text.index(inner))) == SELECTOR


class TestChallenge:
    @pytest.mark.parametrize(
        "challenge",
        [keccak(text="another"), HASH[:31], HASH + b"\x00", b"", HASH[::-1]],
        ids=["another", "shorter", "longer", "none", "reversed"],
    )
    def test_that_is_another_is_refused(self, passkey, challenge):
        assert answer(passkey, passkey.assertion(challenge)) == REFUSED

    def test_in_the_other_base64_or_padded_is_refused(self, passkey):
        asked = b"\xff" * 32
        url = client_data(asked)
        plain = url.replace("_", "/")
        padded = url.replace(base64url(asked), base64url(asked) + "=")
        assert plain != url

        made = [
            passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)
            for text in (url, plain, padded)
        ]

        assert [answer(passkey, each, asked=asked) for each in made] == [SELECTOR, REFUSED, REFUSED]

    @pytest.mark.parametrize("moved", [-1, 1, 20, 10_000, 2**256 - 1])
    def test_that_is_not_where_the_index_says_is_refused(self, passkey, moved):
        made = passkey.assertion(HASH)
        index = moved if moved > 20 else made.challenge_index + moved

        assert answer(passkey, replace(made, challenge_index=index)) == REFUSED

    def test_hidden_in_another_member_is_found_at_no_index(self, passkey):
        """Whoever chooses an address or another member can write there what they like, but no bare quote."""
        hidden = f'https://elsewhere.example/","challenge":"{base64url(HASH)}"'
        text = client_data(keccak(text="another"), origin=hidden)
        made = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)

        answers = {answer(passkey, replace(made, challenge_index=index)) for index in range(len(text) + 1)}

        assert answers == {REFUSED}


class TestType:
    @pytest.mark.parametrize(
        "kind", ["webauthn.create", "payment.get", "webauthn.getAssertion", "", "Webauthn.get"]
    )
    def test_that_is_another_is_refused(self, passkey, kind):
        assert answer(passkey, passkey.assertion(HASH, kind=kind)) == REFUSED

    @pytest.mark.parametrize("index", [0, 2, 10_000, 2**256 - 32, 2**256 - 1])
    def test_that_is_not_where_the_index_says_is_refused(self, passkey, index):
        assert answer(passkey, replace(passkey.assertion(HASH), type_index=index)) == REFUSED

    def test_hidden_in_another_member_is_found_at_no_index(self, passkey):
        text = client_data(HASH, kind="webauthn.create", origin='https://a.example/","type":"webauthn.get"')
        made = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)

        answers = {answer(passkey, replace(made, type_index=index)) for index in range(len(text) + 1)}

        assert answers == {REFUSED}


class TestFlags:
    @pytest.mark.parametrize(
        "flags",
        [0, USER_PRESENT, USER_VERIFIED, PRESENT_AND_VERIFIED | BACKED_UP, BACKUP_ELIGIBLE | BACKED_UP],
        ids=["neither", "not verified", "not present", "backed up but not eligible", "backup alone"],
    )
    def test_that_say_too_little_or_what_cannot_be_are_refused(self, passkey, flags):
        assert answer(passkey, passkey.assertion(HASH, flags=flags)) == REFUSED

    @pytest.mark.parametrize("length", [0, 32, 33, 36])
    def test_of_data_that_is_too_short_are_refused(self, passkey, length):
        made = passkey.assertion_of(authenticator_data(PRESENT_AND_VERIFIED)[:length], client_data(HASH))

        assert answer(passkey, made) == REFUSED


class TestKey:
    def test_of_another_passkey_is_refused(self, passkey, verifier):
        other = Passkey("another phone", verifier)

        assert answer(passkey, other.assertion(HASH)) == REFUSED

    @pytest.mark.parametrize("change", ["shorter", "longer", "none", "off the curve", "zero", "swapped"])
    def test_that_is_no_point_is_refused(self, passkey, change):
        point = passkey.point
        key = {
            "shorter": point[:63],
            "longer": point + b"\x00",
            "none": b"",
            "off the curve": point[:63] + bytes([point[63] ^ 1]),
            "zero": bytes(64),
            "swapped": point[32:] + point[:32],
        }[change]

        assert answer(passkey, passkey.assertion(HASH), key=key) == REFUSED


class TestNumbers:
    def test_the_upper_s_is_refused(self, passkey):
        assert answer(passkey, passkey.assertion(HASH).mirrored()) == REFUSED

    @pytest.mark.parametrize("half", ["r", "s"])
    @pytest.mark.parametrize("number", [0, P256_ORDER, P256_ORDER + 1, 2**256 - 1])
    def test_outside_the_curves_order_are_refused(self, passkey, half, number):
        assert answer(passkey, replace(passkey.assertion(HASH), **{half: number})) == REFUSED
