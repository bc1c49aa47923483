"""Mosquitto's access rules, made from the table of topics: ``python -m services.metering.acl_file``.

It writes ``infra/mosquitto/acl``; a test compares the two.
"""

from collections.abc import Iterator
from pathlib import Path

from hireling.rental.broker_users import BARGAINER, DEVICE, INGEST, PLATFORM, RENTER, Role, patterns

FILE = Path(__file__).parents[2] / "infra" / "mosquitto" / "acl"
HEAD = """\
# Who may publish (write) and receive (read) what. Made from hireling.rental.topics by
# `python -m services.metering.acl_file`; %u is the user's name. Mosquitto lets anybody subscribe to anything,
# and delivers what the rules allow.
"""

ROLES = (
    (DEVICE, "a device, by its id"),
    (RENTER, "who rents it, by its path"),
    (BARGAINER, "a renter's agent that bargains, by bargainers/<its id>"),
)


def acl_text() -> str:
    """Return the file's content."""
    return HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f"user {INGEST}"
    yield from _of(PLATFORM, "topic")
    for role, whose in ROLES:
        yield f"# {whose}"
        yield from _of(role, "pattern")


def _of(role: Role, keyword: str) -> Iterator[str]:
    for pattern, says, hears in patterns(role):
        access = "readwrite" if says and hears else "write" if says else "read"
        yield f"{keyword} {access} {pattern}"


if __name__ == "__main__":
    FILE.write_text(acl_text())
