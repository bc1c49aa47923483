"""What settlement relays beside rentals: new devices, test tokens, and holders' own transfers."""

from typing import Any

import pytest
from eth_account import Account

from hireling.rental.close import Possession
from hireling.rental.signing import keccak256, sign
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain, to_hex
from services.messages.errors import Invalid, Refused
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.settlement import DeviceRegistered
from tests.builders import METER_KEY, OWNER_KEY, RENTER_KEY, a_key
from tests.chain_rentals import FOREVER, TOKEN_NAME, TOKEN_VERSION
from tests.integration.settlement.market import Market

TRANSFER_TYPE = {
    "TransferWithAuthorization": [
        {"name": "from", "type": "address"},
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "validAfter", "type": "uint256"},
        {"name": "validBefore", "type": "uint256"},
        {"name": "nonce", "type": "bytes32"},
    ]
}


def admitted(market: Market, *, valid_until: int, meter: Any = METER_KEY) -> DeviceAdmitted:
    """Return what listing says of a device whose meter signed its possession until then."""
    registry = market.chain.deployment.registry
    domain = Domain(chain_id=market.chain.deployment.chain_id, escrow=registry)
    possession = Possession(
        owner=OWNER_KEY.identity,
        registry=registry,
        device=device_id(meter.identity),
        metadata=bytes(32),
        valid_until=valid_until,
    )
    return DeviceAdmitted(
        device=device_id(meter.identity),
        owner=OWNER_KEY.identity,
        meter=meter.identity,
        metadata_hash=bytes(32),
        valid_until=valid_until,
        possession=sign(meter, domain, possession),
    )


def registered(market: Market) -> list[DeviceRegistered]:
    """Return what was told of registrations."""
    return [event for event in market.heard if isinstance(event, DeviceRegistered)]


class TestDevices:
    def test_an_admitted_device_is_registered_and_everybody_told_once(self, market: Market) -> None:
        until = market.chain.now() + 3_600
        market.say(admitted(market, valid_until=until))
        market.wait_until(lambda: registered(market))
        market.say(admitted(market, valid_until=until + 1))
        market.say(admitted(market, valid_until=until + 2, meter=a_key("second meter")))
        market.wait_until(lambda: len(registered(market)) == 2)

        devices = [event.device for event in registered(market)]
        assert devices == [device_id(METER_KEY.identity), device_id(a_key("second meter").identity)]


class TestWallets:
    def test_the_faucet_answers_when_the_tokens_are_there(self, market: Market) -> None:
        address = to_hex(a_key("newcomer").identity)
        first = market.call("faucet", address)
        second = market.call("faucet", address)

        assert int(first["balance"]) > 0
        assert int(second["balance"]) == 2 * int(first["balance"])

    def test_an_address_that_is_none_is_refused(self, market: Market) -> None:
        with pytest.raises(Invalid, match="bad_address"):
            market.call("get_wallet", "0x1234")

    def test_a_holders_transfer_is_relayed_once(self, market: Market) -> None:
        market.call("faucet", to_hex(RENTER_KEY.identity))
        wish = authorization(market, value=123)
        market.call("withdraw", wish)
        market.call("withdraw", wish)
        market.wait_until(lambda: market.stranger.wallet(OWNER_KEY.identity).balance == 123)
        relayed = market.call("withdraw", wish)["transaction"]

        assert relayed["hash"] is not None
        assert market.stranger.wallet(OWNER_KEY.identity).balance == 123

    def test_a_transfer_that_the_token_refuses_says_why(self, market: Market) -> None:
        wish = authorization(market, value=10**18)

        with pytest.raises(Refused, match="ERC20InsufficientBalance"):
            market.call("withdraw", wish)


def authorization(market: Market, *, value: int) -> dict[str, Any]:
    """Return the renter's signed wish to send tokens to the owner."""
    nonce = keccak256(b"withdrawal")
    message = {
        "from": to_hex(RENTER_KEY.identity),
        "to": to_hex(OWNER_KEY.identity),
        "value": value,
        "validAfter": 0,
        "validBefore": FOREVER,
        "nonce": nonce,
    }
    domain = {
        "name": TOKEN_NAME,
        "version": TOKEN_VERSION,
        "chainId": market.chain.deployment.chain_id,
        "verifyingContract": to_hex(market.chain.deployment.token),
    }
    signed = Account.sign_typed_data(RENTER_KEY.secret, domain, TRANSFER_TYPE, message)
    return {
        "sender": to_hex(RENTER_KEY.identity),
        "recipient": to_hex(OWNER_KEY.identity),
        "value": str(value),
        "valid_after": "0",
        "valid_before": str(FOREVER),
        "nonce": to_hex(nonce),
        "signature": to_hex(bytes(signed.signature)),
    }
