"""The broker's door in a whole marketplace: strangers outside, a key revoked in the middle of a rental."""

import asyncio

import pytest
from aiomqtt import Client, MqttError
from aiomqtt.exceptions import MqttCodeError, MqttConnectError

from hireling.broker_pass import BrokerPass
from hireling.clock import SystemClock
from hireling.mqtt_line import NotLetIn, topic_of
from hireling.rental.signing import Secp256k1Key
from hireling.rental.states import State
from services.embedded.marketplace import Marketplace
from services.settlement.escrow.chain import Chain
from tests.chain import DevChain
from tests.chain_rentals import door, revoke_meter, rotate_meter
from tests.e2e.deal import entered, rented
from tests.e2e.parties import QOS_AT_LEAST_ONCE, WITHIN, HandRental, until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

READINGS = 12
EVERYWHERE = ["common", pytest.param("stack", marks=pytest.mark.stack)]


class TestStrangers:
    @pytest.mark.parametrize("market", EVERYWHERE, indirect=True)
    def test_neither_speak_for_a_machine_nor_hear_what_it_is_told(self, market: Marketplace) -> None:
        asyncio.run(self._journey(market))

    async def _journey(self, market: Marketplace) -> None:
        async with rented(market) as mine, rented(market) as other:
            with pytest.raises(MqttConnectError):
                async with Client(mine.facts.mqtt.host, mine.facts.mqtt.port):
                    raise AssertionError("a stranger was let in")
            stranger = other.line.client
            await stranger.subscribe(topic_of(mine.line.device, "acks"), qos=QOS_AT_LEAST_ONCE)
            first, *rest = mine.honest_readings(READINGS)
            await mine.say_all([first])
            await _forge(stranger, mine)
            await mine.say_all(rest)
            # Two ingests may take what follows each other in another order; a hole is soon filled.
            assert {refusal.code for refusal in await mine.refusals()} <= {"gap"}
            assert not [body for word, body in other.line.heard if body.get("rental_id") == mine.id]


async def _forge(stranger: Client, mine: HandRental) -> None:
    """Speak on the machine's topics; Mosquitto 2.0.11 hangs up on who tries."""
    for word in ("readings", "acks", "ceilings"):
        try:
            await stranger.publish(topic_of(mine.line.device, word), b"{}", qos=QOS_AT_LEAST_ONCE)
        except MqttError:
            return


class TestARevokedKey:
    @pytest.mark.parametrize("market", EVERYWHERE, indirect=True)
    def test_is_cut_off_in_mid_rental_and_the_next_one_delivers_what_it_signed(
        self, market: Marketplace
    ) -> None:
        asyncio.run(self._journey(market))

    async def _journey(self, market: Marketplace) -> None:
        chain = DevChain.running_at(market.settings.chain_port, market.settings.deployment)
        async with rented(market) as rental:
            owner = door(chain, key=rental.owner)
            readings = rental.honest_readings(READINGS)
            await rental.say_all(readings[:4])
            await rental.acknowledge(readings[3])
            await rental.view_where(lambda view: view.state is State.ACTIVE, "a rental in use")

            await asyncio.to_thread(revoke_meter, owner, rental.line.device)
            await self._cut_off(rental)
            with pytest.raises(NotLetIn, match="meter_revoked"):
                await _pass(rental, rental.meter).credentials()
            view = await rental.platform.rental(rental.signed.rental_id)
            assert (view.state, view.seq) == (State.ACTIVE, 3)

            await self._deliver_by_a_new_key(rental, owner)

    async def _cut_off(self, rental: HandRental) -> None:
        """Wait until the device's connection is gone, although it would have had much to say."""

        async def look() -> bool:
            # What was sent before, so that it changes nothing.
            again = rental.honest_readings(READINGS)[0].model_dump_json()
            topic = topic_of(rental.line.device, "readings")
            try:
                await rental.line.client.publish(topic, again, qos=QOS_AT_LEAST_ONCE, timeout=5)
            except MqttCodeError:
                return True
            except MqttError:  # not confirmed in time, which is no end yet
                return False
            return False

        await until(look, "the end of the revoked key's connection")

    async def _deliver_by_a_new_key(self, rental: HandRental, owner: Chain) -> None:
        new = Secp256k1Key.generate()
        await asyncio.to_thread(rotate_meter, owner, rental.line.device, new, owner_key=rental.owner)
        entry = _pass(rental, new)

        async def let_in() -> bool:
            try:
                await entry.credentials()
            except NotLetIn:
                return False
            return True

        await until(let_in, "the new key let in")
        async with entered(rental.facts, entry) as client:
            for reading in rental.honest_readings(READINGS)[4:]:
                payload = reading.model_dump_json()
                topic = topic_of(rental.line.device, "readings")
                await client.publish(topic, payload, qos=QOS_AT_LEAST_ONCE, timeout=WITHIN)
            last = READINGS - 1
            await rental.view_where(lambda view: view.seq == last, "the log that the old key signed")
            await rental.view_where(lambda view: view.state is State.CLOSED, "its last reading")


def _pass(rental: HandRental, key: Secp256k1Key) -> BrokerPass:
    return BrokerPass(
        rental.platform,
        domain=rental.signed.domain,
        key=key,
        device=rental.line.device,
        clock=SystemClock(),
    )
