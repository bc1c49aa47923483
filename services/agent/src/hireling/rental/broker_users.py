"""Who may say and hear what at the broker: the table of topics, as every broker's rules are made from it.

A device's topics are ``hireling/<0x device id>/<word>``. Its user name there is its id. A renter's is
``hireling/<0x device id>``, the path of the machine that it rents, so that a broker that can put a user's
name into a pattern needs one line for all of them. A renter's agent that bargains is ``bargainers/<0x id>``,
with topics of its own at ``hireling/bargainers/<0x id>/<word>``: the id is the hash of its key, for it has as
many sessions as it likes. The marketplace's ingest is one user of everybody's topics.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hireling.rental.terms import device_id
from hireling.rental.topics import TOPICS, Party, Topic, Whose
from hireling.rental.typed_data import to_hex

ROOT = "hireling"
INGEST = "ingest"
"""The user name of the marketplace's own processes."""

BARGAINERS = "bargainers"

_DEVICE = re.compile(r"0x[0-9a-f]{64}")
_BARGAINER = re.compile(rf"{BARGAINERS}/{_DEVICE.pattern}")
_TOPIC = re.compile(rf"{ROOT}/((?:{BARGAINERS}/)?{_DEVICE.pattern})/(.+)")


Role = Party
DEVICE: Role = "device"
RENTER: Role = "renter"
PLATFORM: Role = "platform"
BARGAINER: Role = "bargainer"

_BY_WORD = {(topic.whose, topic.word): topic for topic in TOPICS}


@dataclass(frozen=True)
class User:
    """Who a user name stands for; ``path`` is below the root, None for who speaks with all of them."""

    role: Role
    path: str | None

    def may_say(self, topic: str) -> bool:
        """Return whether the user may publish on this topic."""
        found = self._topic(topic)
        return found is not None and says(self.role, found)

    def may_hear(self, topic: str) -> bool:
        """Return whether a message on this topic may reach the user."""
        found = self._topic(topic)
        return found is not None and self.role in found.listeners

    def may_ask_for(self, topic_filter: str) -> bool:
        """Return whether the user may subscribe to exactly this filter."""
        if self.path is None:
            # Who hears everybody asks for all of them at once.
            return any(topic_filter == everybodys(topic) for topic in TOPICS if self.role in topic.listeners)
        return self.may_hear(topic_filter)

    def _topic(self, name: str) -> Topic | None:
        match = _TOPIC.fullmatch(name)
        if match is None or self.path not in {None, match[1]}:
            return None
        whose: Whose = "bargainer" if match[1].startswith(BARGAINERS) else "device"
        return _BY_WORD.get((whose, match[2]))


def says(role: Role, topic: Topic) -> bool:
    """Return whether this role publishes on a topic, of itself or for another."""
    return role == topic.sender or role in topic.carried_by


def user_of(name: str) -> User | None:
    """Return who a user name stands for, or None for a stranger's."""
    if name == INGEST:
        return User(PLATFORM, None)
    if _DEVICE.fullmatch(name):
        return User(DEVICE, name)
    if _BARGAINER.fullmatch(name):
        return User(BARGAINER, name)
    device = name.removeprefix(f"{ROOT}/")
    if device != name and _DEVICE.fullmatch(device):
        return User(RENTER, device)
    return None


def device_user(device: str) -> str:
    """Return the user name of a device, 0x-hex."""
    return device


def renter_user(device: str) -> str:
    """Return the user name of who rents this device."""
    return f"{ROOT}/{device}"


def bargainer_id(agent: bytes) -> str:
    """Return the id of a renter's agent that bargains with this key, 0x-hex: its hash, as a device's is."""
    return to_hex(device_id(agent))


def bargainer_user(agent: bytes) -> str:
    """Return the user name of a renter's agent that bargains with this key."""
    return f"{BARGAINERS}/{bargainer_id(agent)}"


def everybodys(topic: Topic) -> str:
    """Return the filter for a word of everybody who has it."""
    return f"{ROOT}/{BARGAINERS}/+/{topic.word}" if topic.whose == BARGAINER else f"{ROOT}/+/{topic.word}"


def patterns(role: Role) -> Iterator[tuple[str, bool, bool]]:
    """Yield each topic of a role as `(pattern, says, hears)`, with ``%u`` where the user's name stands."""
    path = "%u" if role == RENTER else f"{ROOT}/%u"
    for topic in TOPICS:
        if says(role, topic) or role in topic.listeners:
            pattern = everybodys(topic) if role == PLATFORM else f"{path}/{topic.word}"
            yield pattern, says(role, topic), role in topic.listeners
