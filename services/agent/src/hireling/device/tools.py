"""What every engagement of a machine shares: its keys, its doors to the outside, and its promises."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.device.bookings import Bookings
from hireling.device.chain import EscrowReader
from hireling.drivers.driver import Driver
from hireling.mqtt_line import MqttLine, topic_of
from hireling.platform_client import PlatformClient
from hireling.rental.agreement import SignedAgreement
from hireling.rental.encoding import Encoding
from hireling.rental.signing import Signer


@dataclass(frozen=True)
class Tools:
    """What every engagement of a device shares."""

    platform: PlatformClient
    chain: EscrowReader
    line: MqttLine
    driver: Driver
    meter_key: Signer
    agent_key: Signer
    clock: Clock
    announce: Announce
    folder: Path
    bills: Path
    device: bytes
    bill_signer: bytes
    in_use: asyncio.Lock
    """Held while the machine serves: one rental at a time."""
    encoding: Encoding = "json"
    """How readings travel."""
    bookings: Bookings = field(default_factory=Bookings)
    owner_key: Signer | None = None
    """Signs closes and bills where a delegate of the platform signed the agreement."""

    def key_for(self, agreement: SignedAgreement) -> Signer:
        """Return what signs a rental's close and bill for the owner: whose word its agreement takes."""
        if agreement.agreement.rules.owner_agent == self.agent_key.identity or self.owner_key is None:
            return self.agent_key
        return self.owner_key

    def topic(self, word: str) -> str:
        """Return the machine's own topic of this word."""
        return topic_of(self.device, word)
