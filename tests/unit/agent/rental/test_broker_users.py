"""Who may say and hear what at the broker."""

import pytest

from hireling.device.listener import topics_for
from hireling.rental.broker_users import (
    BARGAINER,
    DEVICE,
    INGEST,
    PLATFORM,
    RENTER,
    Role,
    User,
    bargainer_user,
    device_user,
    patterns,
    renter_user,
    user_of,
)
from hireling.rental.topics import TOPICS
from services.metering.acl_file import FILE, acl_text
from services.metering.wire import KINDS
from services.negotiation.ingest import MOVES

MINE, OTHERS = "0x" + "1a" * 32, "0x" + "2b" * 32
AGENT, OTHER_AGENT = bargainer_user(b"\x01" * 20), bargainer_user(b"\x02" * 20)


def a_user(name: str) -> User:
    user = user_of(name)
    assert user is not None
    return user


def said_by(name: str, whose: str) -> set[str]:
    return {topic.word for topic in TOPICS if a_user(name).may_say(f"hireling/{whose}/{topic.word}")}


def heard_by(name: str, whose: str) -> set[str]:
    return {topic.word for topic in TOPICS if a_user(name).may_hear(f"hireling/{whose}/{topic.word}")}


class TestADevice:
    def test_says_what_it_measures_its_moves_and_asks_who_unlocks(self) -> None:
        assert said_by(device_user(MINE), MINE) == {"readings", "batches", "moves", "unlock/challenge"}

    def test_hears_exactly_what_its_agent_listens_to(self) -> None:
        topics = topics_for(bytes.fromhex(MINE[2:]))
        assert {f"hireling/{MINE}/{word}" for word in heard_by(device_user(MINE), MINE)} == set(topics)
        assert all(a_user(device_user(MINE)).may_ask_for(topic) for topic in topics)

    def test_has_no_part_in_another_s_topics(self) -> None:
        assert said_by(device_user(MINE), OTHERS) == heard_by(device_user(MINE), OTHERS) == set()

    @pytest.mark.parametrize(
        "topic_filter",
        ["#", "+/+/acks", "hireling/+/acks", f"hireling/{MINE}/#", f"hireling/{MINE}/+", "$SYS/#"],
    )
    def test_may_not_ask_for_more_than_its_own(self, topic_filter: str) -> None:
        assert not a_user(device_user(MINE)).may_ask_for(topic_filter)


class TestARenter:
    def test_says_ceilings_and_what_unlocks(self) -> None:
        assert said_by(renter_user(MINE), MINE) == {"ceilings", "unlock/ask", "unlock/answer"}

    def test_hears_readings_and_challenges(self) -> None:
        assert heard_by(renter_user(MINE), MINE) == {"readings", "unlock/challenge"}

    def test_has_no_part_in_another_machine_s_topics(self) -> None:
        assert said_by(renter_user(MINE), OTHERS) == heard_by(renter_user(MINE), OTHERS) == set()


class TestABargainer:
    def test_says_its_moves_and_hears_of_its_sessions(self) -> None:
        assert said_by(AGENT, AGENT) == {"moves"}
        assert heard_by(AGENT, AGENT) == {"answers", "sessions"}
        assert all(a_user(AGENT).may_ask_for(f"hireling/{AGENT}/{word}") for word in ("answers", "sessions"))

    @pytest.mark.parametrize("whose", [OTHER_AGENT, MINE, AGENT.removeprefix("bargainers/")])
    def test_has_no_part_in_what_is_another_s(self, whose: str) -> None:
        assert said_by(AGENT, whose) == heard_by(AGENT, whose) == set()

    @pytest.mark.parametrize("name", [device_user(MINE), renter_user(MINE), OTHER_AGENT])
    def test_is_heard_by_nobody_else(self, name: str) -> None:
        assert said_by(name, AGENT) == heard_by(name, AGENT) == set()

    @pytest.mark.parametrize("topic_filter", ["hireling/bargainers/+/sessions", f"hireling/{AGENT}/#", "#"])
    def test_may_not_ask_for_more_than_its_own(self, topic_filter: str) -> None:
        assert not a_user(AGENT).may_ask_for(topic_filter)


class TestTheIngest:
    def test_hears_what_it_takes_in_of_everybody(self) -> None:
        assert heard_by(INGEST, MINE) == heard_by(INGEST, OTHERS) == {*KINDS, "moves"}
        assert heard_by(INGEST, AGENT) == {"moves"}
        assert all(a_user(INGEST).may_ask_for(f"hireling/+/{kind}") for kind in KINDS)
        assert all(a_user(INGEST).may_ask_for(topic_filter) for topic_filter in MOVES)

    def test_says_what_agents_are_told(self) -> None:
        told = {"acks", "refusals", "notices", "ceilings", "answers", "sessions"}
        assert said_by(INGEST, MINE) == told
        assert said_by(INGEST, AGENT) == {"answers", "sessions"}

    def test_may_not_ask_for_everything(self) -> None:
        assert not a_user(INGEST).may_ask_for("#")


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "", "admin", "Ingest", "0x" + "1a" * 31, "0x" + "1A" * 32, MINE + "/", "+", "#", "hireling/+",
            f"hireling/{MINE}/readings", f"hireling/hireling/{MINE}", f"{MINE}\n", f"bargainers/{MINE}/",
            f"hireling/bargainers/{MINE}", "bargainers/+", "bargainers", f"bargainers/bargainers/{MINE}",
        ],
    )  # fmt: skip
    def test_of_strangers_stand_for_nobody(self, name: str) -> None:
        assert user_of(name) is None

    @pytest.mark.parametrize(
        "topic",
        [f"hireling/{MINE}", f"hireling/{MINE}/", f"hireling/{MINE}/readings/", f"other/{MINE}/readings",
         f"hireling/{MINE}/unlock", f"hireling/{MINE}/readings\n", f"/hireling/{MINE}/readings"],
    )  # fmt: skip
    def test_of_other_topics_are_nobody_s(self, topic: str) -> None:
        users = [a_user(name) for name in (device_user(MINE), renter_user(MINE), AGENT, INGEST)]
        assert not any(user.may_say(topic) or user.may_hear(topic) for user in users)


class TestMosquittosRules:
    def test_file_is_made_of_the_table(self) -> None:
        assert FILE.read_text() == acl_text()

    @pytest.mark.parametrize("role", [DEVICE, RENTER, BARGAINER, PLATFORM])
    def test_patterns_say_what_the_table_says(self, role: Role) -> None:
        name = {DEVICE: device_user(MINE), RENTER: renter_user(MINE), BARGAINER: AGENT, PLATFORM: INGEST}[
            role
        ]
        for pattern, says, hears in patterns(role):
            topic = pattern.replace("%u", name).replace("+", OTHERS)
            assert (a_user(name).may_say(topic), a_user(name).may_hear(topic)) == (says, hears)
