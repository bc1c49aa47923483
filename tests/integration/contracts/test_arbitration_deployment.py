"""Deploying who rules: a panel of named members and its desk, or a desk of somebody else's arbitrator."""

import json
from pathlib import Path

import pytest
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from tests.integration.contracts.conftest import Serve
from tests.integration.contracts.deploying import DONE, REFUSED, Operator

PERSON, OTHER_PERSON, BROWSER = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 64
PANEL = {"ArbiterPanel": {"signers": [PERSON, OTHER_PERSON, BROWSER], "agreeing": 2}}


def told(folder: Path, arguments: object) -> tuple[str, str]:
    """Return the options that name a file of constructor arguments."""
    file = folder / "arguments.json"
    file.write_text(json.dumps(arguments))
    return "--arguments", str(file)


def answer(operator: Operator, contract: str, function: str, kind: str) -> object:
    """Return what a contract of the record answers."""
    call = {"to": operator.record()[contract], "data": "0x" + keccak(text=f"{function}()")[:4].hex()}
    (value,) = decode([kind], bytes.fromhex(operator.chain.call("eth_call", call, "latest")[2:]))
    return value


class TestDeploy:
    def test_names_nobody_as_arbiter_by_itself(self, serve: Serve) -> None:
        planned = serve().run("--plan")
        assert planned.code == DONE
        assert not {"ArbiterPanel", "ArbitrationDesk"} & set(json.loads(planned.out))
        assert "ArbiterPanel: left out" in planned.said
        assert "ArbitrationDesk: left out" in planned.said

    def test_puts_a_panel_and_its_desk_beside_what_is_there(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        operator.run("--unlocked")
        before, sent = operator.record(), operator.sent()
        done = operator.run("--unlocked", *told(tmp_path, PANEL))
        assert done.code == DONE, done.said
        record = operator.record()
        assert operator.sent() == sent + 2
        assert {key: record[key] for key in ("escrow", "registry")} == {
            key: before[key] for key in ("escrow", "registry")
        }
        assert answer(operator, "desk", "arbitrator", "address") == record["panel"].lower()
        assert answer(operator, "desk", "escrow", "address") == record["escrow"].lower()
        assert answer(operator, "panel", "threshold", "uint256") == 2
        assert answer(operator, "panel", "members", "bytes[]") == tuple(
            bytes.fromhex(member[2:]) for member in (PERSON, OTHER_PERSON, BROWSER)
        )

    def test_verifies_them_by_the_same_arguments(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        operator.run("--unlocked", *told(tmp_path, PANEL))
        verified = operator.run("--verify", *told(tmp_path, PANEL))
        assert verified.code == DONE, verified.said
        exact = {line.split()[0] for line in verified.out.splitlines() if line.split()[2] == "exact"}
        assert {"ArbiterPanel", "ArbitrationDesk"} <= exact

    def test_gives_other_members_another_address(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        plans = []
        for agreeing in (2, 3):
            panel = {"ArbiterPanel": PANEL["ArbiterPanel"] | {"agreeing": agreeing}}
            plans.append(json.loads(operator.run("--plan", *told(tmp_path, panel)).out))
        for contract in ("ArbiterPanel", "ArbitrationDesk"):
            assert plans[0][contract] != plans[1][contract]
        assert plans[0]["RentalEscrow"] == plans[1]["RentalEscrow"]

    def test_keeps_the_record_of_the_panel_before(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        operator.run("--unlocked", *told(tmp_path, PANEL))
        before = operator.record()
        unanimous = {"ArbiterPanel": PANEL["ArbiterPanel"] | {"agreeing": 3}}
        done = operator.run("--unlocked", *told(tmp_path, unanimous))
        assert done.code == DONE, done.said
        kept = operator.record_path.with_name(f"record.{before['build'][:12]}.json")
        assert json.loads(kept.read_text()) == before
        assert operator.record()["panel"] != before["panel"]
        assert answer(operator, "panel", "threshold", "uint256") == 3

    def test_puts_a_desk_before_somebody_elses_arbitrator(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        operator.run("--unlocked")
        # Any contract will do: the desk asks it only when a dispute is raised.
        theirs = operator.record()["anchor"]
        done = operator.run("--unlocked", *told(tmp_path, {"ArbitrationDesk": {"ruledBy": theirs}}))
        assert done.code == DONE, done.said
        assert "panel" not in operator.record()
        assert answer(operator, "desk", "arbitrator", "address") == theirs.lower()


class TestRefuse:
    @pytest.mark.parametrize(
        ("panel", "reason"),
        [
            (([PERSON, OTHER_PERSON, BROWSER], 1), "ArbiterPanel_ThresholdOutOfRange(1, 2, 3)"),
            (([PERSON, PERSON], 2), "ArbiterPanel_MemberTwice("),
            ((["0x1234"], 1), "ArbiterPanel_ShortSigner(2, 20)"),
            ((["somebody"], 1), "ArbiterPanel(bytes[], uint256)"),
        ],
        ids=["no majority", "a member twice", "no signer", "no bytes"],
    )
    def test_a_panel_that_cannot_be_before_anything_is_sent(
        self, serve: Serve, tmp_path: Path, panel: tuple[list[str], int], reason: str
    ) -> None:
        operator = serve()
        arguments = {"ArbiterPanel": dict(zip(("signers", "agreeing"), panel, strict=True))}
        refused = operator.run("--unlocked", *told(tmp_path, arguments))
        assert (refused.code, operator.sent()) == (REFUSED, 0)
        assert reason in refused.said

    def test_an_arbitrator_that_is_no_contract(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        refused = operator.run("--unlocked", *told(tmp_path, {"ArbitrationDesk": {"ruledBy": PERSON}}))
        assert (refused.code, operator.sent()) == (REFUSED, 0)
        assert f"{PERSON} is no contract" in refused.said
