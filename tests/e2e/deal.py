"""The way to a rental between two hand-driven sides: listed, agreed at the listed price, and funded."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiomqtt import Client
from aiomqtt.exceptions import MqttConnectError

from hireling.broker_pass import BrokerPass
from hireling.clock import SystemClock
from hireling.device.chain import EscrowReader
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.drivers.driver import Facts, Pricing
from hireling.json_rpc import JsonRpc
from hireling.mqtt_line import topic_of
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound
from hireling.platform_views import PlatformView, RentalView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.offer import QuoteRequest, agreement_from, first_offer, quote_of, sign_offer
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.states import State
from hireling.rental.tariff import CounterSpec
from hireling.renter.wallet import Wallet
from services.embedded.marketplace import Marketplace
from tests.e2e.parties import LOOK_EVERY, QOS_AT_LEAST_ONCE, STEP, WITHIN, HandRental, Line, until

SECONDS = 600

MACHINE = Facts(
    kind="appliance",
    title="A machine driven by hand",
    description="It says what the test wants it to say.",
    time_factor=1,
    counters=(
        CounterSpec(name="energy_mJ", unit="mJ", max_per_second=1_000_000),
        CounterSpec(name="time_ms", unit="ms", max_per_second=1_000),
    ),
    step=STEP,
    pricing=Pricing(counter="energy_mJ", per=3_600_000_000, unit="kWh", default="90.00", default_flat="0.01"),
    ceiling_seconds=60,
    default_seconds=SECONDS,
)


@dataclass(frozen=True)
class Keys:
    """The owner's side's keys."""

    owner: Secp256k1Key = field(default_factory=Secp256k1Key.generate)
    owner_agent: Secp256k1Key = field(default_factory=Secp256k1Key.generate)
    meter: Secp256k1Key = field(default_factory=Secp256k1Key.generate)


@asynccontextmanager
async def rented(
    market: Marketplace,
    *,
    machine: Facts = MACHINE,
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    keys: Keys | None = None,
    seconds: int = SECONDS,
) -> AsyncIterator[HandRental]:
    """Rent a new machine to a new renter: listed, agreed at the listed price, and paid into the escrow."""
    async with AsyncExitStack() as cleanup:
        platform = PlatformClient(market.settings.gateway_url)
        cleanup.push_async_callback(platform.close)
        rpc = JsonRpc(market.settings.rpc_url)
        cleanup.push_async_callback(rpc.close)
        facts = await platform.platform()
        keys = keys or Keys()
        owner, owner_agent, meter = keys.owner, keys.owner_agent, keys.meter
        wallet, session = Secp256k1Key.generate(), Secp256k1Key.generate()
        presence = Presence(
            platform=platform,
            facts=facts,
            machine=machine,
            wishes=wishes,
            owner=owner,
            agent=owner_agent,
            meter=meter,
            clock=SystemClock(),
            announce=lambda *_args, **_fields: None,
        )
        await presence.arrive()
        await platform.faucet(wallet.identity)
        signed = await _agree(platform, facts, presence, keys=(owner_agent, wallet, session), seconds=seconds)
        entry = BrokerPass(
            platform, domain=presence.domain, key=meter, device=presence.device, clock=SystemClock()
        )
        client = await cleanup.enter_async_context(entered(facts, entry))
        line = Line(client, presence.device)
        for word in ("acks", "refusals", "notices"):
            await client.subscribe(topic_of(presence.device, word), qos=QOS_AT_LEAST_ONCE)
        listening = asyncio.create_task(line.listen())
        cleanup.push_async_callback(_cancel, listening)
        rental = HandRental(
            platform=platform,
            facts=facts,
            escrow=EscrowReader(rpc, confirmations=1),
            line=line,
            signed=signed,
            owner=owner,
            owner_agent=owner_agent,
            meter=meter,
            wallet=wallet,
            session=session,
        )
        await _fund(rental, Wallet(wallet, platform=platform, facts=facts, rpc=rpc))
        line.renter = await cleanup.enter_async_context(entered(facts, rental.renters_pass()))
        yield rental


@asynccontextmanager
async def entered(facts: PlatformView, entry: BrokerPass) -> AsyncIterator[Client]:
    """Connect by a name from the marketplace, once the broker has learnt of it."""
    async with AsyncExitStack() as hung_up, asyncio.timeout(WITHIN) as patience:
        while True:
            names = await entry.credentials()
            client = Client(
                facts.mqtt.host,
                facts.mqtt.port,
                username=names.username,
                password=names.password,
                timeout=WITHIN,
            )
            try:
                await hung_up.enter_async_context(client)
            except MqttConnectError:
                await asyncio.sleep(LOOK_EVERY)
            else:
                break
        patience.reschedule(None)
        yield client


async def _agree(
    platform: PlatformClient,
    facts: PlatformView,
    presence: Presence,
    *,
    keys: tuple[Secp256k1Key, Secp256k1Key, Secp256k1Key],
    seconds: int,
) -> SignedAgreement:
    owner_agent, wallet, session = keys
    now = SystemClock().now()
    (listed,) = [
        listing for listing in await platform.listings() if listing.document.device == presence.device
    ]
    request = QuoteRequest(
        device=presence.device,
        listing=listed.listing,
        renter=wallet.identity,
        renter_agent=session.identity,
        seconds=seconds,
        start_at=int(now.timestamp()),
    )
    asked = await platform.request_quote(request, sign(session, presence.domain, quote_of(request)))
    offer = first_offer(listed.document, request, facts.terms, now, secrets.token_bytes(32), asked.quote_id)
    made = sign_offer(owner_agent, offer)
    await platform.make_offer(asked.quote_id, made)
    agreement = agreement_from(offer)
    await platform.sign_agreement(
        quote_id=asked.quote_id,
        by="renter",
        offer=made.hash,
        signature=sign(wallet, presence.domain, agreement),
    )
    agreed = await platform.sign_agreement(
        quote_id=asked.quote_id,
        by="owner",
        offer=made.hash,
        signature=sign(owner_agent, presence.domain, agreement),
    )
    assert agreed.rental_id is not None
    return await platform.agreement(agreed.rental_id)


async def _fund(rental: HandRental, wallet: Wallet) -> None:
    terms = rental.signed.agreement
    permit = await wallet.permit(value=terms.all_in, deadline=terms.rules.fund_by)

    async def ask() -> RentalView | None:
        # The money's side of the marketplace hears of an agreement a moment later.
        with suppress(PlatformNotFound):
            return await rental.platform.fund(rental.signed.rental_id, permit)
        return None

    await until(ask, "a rental to fund")
    await rental.view_where(lambda view: view.state is State.FUNDED, "the money in the escrow")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
