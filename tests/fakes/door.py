"""Doors of the embedded broker, and names to enter them with."""

from dataclasses import dataclass

from hireling.mqtt_line import Credentials


class OpenDoor:
    """Lets everybody in, to everything."""

    def admit(self, username: str | None, password: str | None) -> str | None:
        return "anybody"

    def still_admits(self, username: str, by: str) -> bool:
        return True

    def may_say(self, username: str, topic: str) -> bool:
        return True

    def may_hear(self, username: str, topic: str) -> bool:
        return True

    def may_ask_for(self, username: str, topic_filter: str) -> bool:
        return True


@dataclass
class Named:
    """Always the same name."""

    held: Credentials

    async def credentials(self) -> Credentials:
        return self.held

    def note_refused(self) -> bool:
        return False

    async def keep_fresh(self) -> None:
        return
