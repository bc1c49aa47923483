"""Deploying to real chains: the same addresses everywhere, once, and only where the contracts can work."""

import json
import os
import secrets
import signal
import subprocess
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from tests.chain import ROOT
from tests.integration.contracts.conftest import Serve
from tests.integration.contracts.deploying import CONTRACTS, DIFFERS, DONE, REFUSED, UNFINISHED, Operator

OTHER_CHAIN_ID = 424242
SOLC = ROOT / "contracts/bin/solc"


def keystore(folder: Path, *, passphrase: str) -> tuple[Path, Path, str]:
    """Write a new key's keystore file and its passphrase file; return both with its address."""
    account = Account.create()
    key_file, passphrase_file = folder / "deployer.json", folder / "passphrase"
    key_file.write_text(json.dumps(Account.encrypt(account.key, passphrase, kdf="pbkdf2", iterations=1000)))
    passphrase_file.write_text(passphrase)
    passphrase_file.chmod(0o600)
    return key_file, passphrase_file, account.address


class TestDeploy:
    def test_puts_the_contracts_where_the_plan_says(self, serve: Serve) -> None:
        operator = serve()
        planned = json.loads(operator.run("--plan").out)
        done = operator.run("--unlocked")
        assert done.code == DONE, done.said
        record = operator.record()
        assert {entry["name"]: entry["address"] for entry in record["contracts"].values()} == planned
        assert set(planned) >= CONTRACTS
        assert record["block"] == 1

    def test_sends_nothing_when_run_again(self, serve: Serve) -> None:
        operator = serve()
        operator.run("--unlocked")
        sent, record = operator.sent(), operator.record()
        again = operator.run("--unlocked")
        assert (again.code, operator.sent(), operator.record()) == (DONE, sent, record), again.said

    def test_writes_the_record_again_from_the_chain_alone(self, serve: Serve) -> None:
        operator = serve()
        operator.run("--unlocked")
        record = operator.record()
        operator.record_path.unlink()
        operator.chain.mine(20)
        assert operator.run().code == DONE
        assert operator.record() == record | {"deployer": None}

    def test_goes_on_where_it_was_killed(self, serve: Serve) -> None:
        operator = serve()
        with operator.chain.holding_back():
            process = operator.start("--unlocked")
            assert process.stderr is not None
            assert any(": sent 0x" in line for line in process.stderr)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            process.stderr.close()
            assert not operator.record_path.exists()
            operator.chain.mine()
            assert operator.sent() > 0
        done = operator.run("--unlocked")
        assert done.code == DONE, done.said
        assert operator.sent() == len(operator.record()["contracts"])
        assert operator.run("--verify").code == DONE

    def test_says_that_it_is_unfinished_when_the_chain_stands_still(self, serve: Serve) -> None:
        operator = serve()
        with operator.chain.holding_back():
            done = operator.run("--unlocked", "--timeout", "1")
        assert done.code == UNFINISHED
        assert "run the same command again" in done.said
        assert not operator.record_path.exists()

    def test_reaches_the_same_addresses_on_another_chain_by_another_key(
        self, serve: Serve, tmp_path: Path
    ) -> None:
        here, elsewhere = serve(), serve(chain_id=OTHER_CHAIN_ID)
        here.run("--unlocked")
        passphrase = secrets.token_hex(16)
        key_file, passphrase_file, address = keystore(tmp_path, passphrase=passphrase)
        elsewhere.chain.fund(bytes.fromhex(address[2:]))
        paid_by = ("--keystore", str(key_file), "--passphrase-file", str(passphrase_file), "--yes")
        done = elsewhere.run(*paid_by, chain_id=OTHER_CHAIN_ID)
        assert done.code == DONE, done.said
        mine, theirs = here.record(), elsewhere.record()
        assert theirs["deployer"] == address
        assert passphrase not in done.said + done.out
        everywhere = ("escrow", "registry", "passkey_verifier")
        assert {key: mine[key] for key in everywhere} == {key: theirs[key] for key in everywhere}
        assert "token" not in theirs, "play money stays on development chains"

    def test_creates_the_deployment_proxy_when_told_to(self, serve: Serve) -> None:
        operator = serve("--disable-default-create2-deployer")
        refused = operator.run("--unlocked")
        assert (refused.code, operator.sent()) == (REFUSED, 0)
        assert "--install-proxy" in refused.said
        assert operator.run("--unlocked", "--install-proxy").code == DONE


class TestRefuse:
    @pytest.mark.parametrize("verb", [("--unlocked",), ("--verify",)])
    def test_another_chain_than_the_one_meant(self, serve: Serve, verb: tuple[str, ...]) -> None:
        operator = serve(chain_id=OTHER_CHAIN_ID)
        refused = operator.run(*verb)
        assert (refused.code, operator.sent()) == (REFUSED, 0)
        assert f"serves chain {OTHER_CHAIN_ID}, not 31337" in refused.said

    @pytest.mark.parametrize(
        ("hardfork", "lacking"), [("cancun", "P-256 precompile"), ("shanghai", "Cancun"), ("paris", "PUSH0")]
    )
    def test_a_chain_whose_rules_are_too_old(self, serve: Serve, hardfork: str, lacking: str) -> None:
        operator = serve("--hardfork", hardfork)
        refused = operator.run("--unlocked")
        assert (refused.code, operator.sent()) == (REFUSED, 0)
        assert lacking in refused.said

    def test_an_unlocked_account_elsewhere_than_on_a_development_chain(self, serve: Serve) -> None:
        operator = serve(chain_id=OTHER_CHAIN_ID)
        refused = operator.run("--unlocked", "--yes", chain_id=OTHER_CHAIN_ID)
        assert (refused.code, operator.sent()) == (REFUSED, 0)

    def test_a_deployer_who_cannot_pay(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        key_file, passphrase_file, address = keystore(tmp_path, passphrase="a b")
        refused = operator.run("--keystore", str(key_file), "--passphrase-file", str(passphrase_file))
        assert (refused.code, operator.sent(address)) == (REFUSED, 0)
        assert f"{address} holds 0.000000 ether" in refused.said

    def test_a_passphrase_that_others_can_read(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        key_file, passphrase_file, _ = keystore(tmp_path, passphrase="a b")
        passphrase_file.chmod(0o644)
        refused = operator.run("--keystore", str(key_file), "--passphrase-file", str(passphrase_file))
        assert refused.code == REFUSED
        assert "chmod 600" in refused.said

    def test_to_send_without_a_word_on_a_public_chain(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve(chain_id=OTHER_CHAIN_ID)
        key_file, _, _ = keystore(tmp_path, passphrase="a b")
        refused = operator.run("--keystore", str(key_file), chain_id=OTHER_CHAIN_ID)
        assert refused.code == REFUSED
        assert "--yes" in refused.said

    def test_to_forget_living_contracts_of_another_build(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve(chain_id=OTHER_CHAIN_ID)
        key_file, passphrase_file, address = keystore(tmp_path, passphrase="a b")
        operator.chain.fund(bytes.fromhex(address[2:]))
        paid_by = ("--keystore", str(key_file), "--passphrase-file", str(passphrase_file), "--yes")
        operator.run(*paid_by, chain_id=OTHER_CHAIN_ID)
        registry = operator.record()["registry"]
        older = operator.record() | {"build": "0123456789abcdef", "escrow": registry}
        older["code_hashes"]["escrow"] = older["code_hashes"]["registry"]
        operator.record_path.write_text(json.dumps(older))
        refused = operator.run(*paid_by, chain_id=OTHER_CHAIN_ID)
        assert (refused.code, operator.record()) == (REFUSED, older)
        assert "--new-build" in refused.said
        assert operator.run(*paid_by, "--new-build", chain_id=OTHER_CHAIN_ID).code == DONE
        kept = operator.record_path.with_name("record.0123456789ab.json")
        assert json.loads(kept.read_text()) == older
        assert operator.record()["build"] != older["build"]

    def test_a_token_that_is_no_contract(self, serve: Serve) -> None:
        operator = serve()
        refused = operator.run("--unlocked", "--token", operator.chain.first_account())
        assert (refused.code, operator.sent()) == (REFUSED, 0)


class TestStandardJson:
    def test_rebuilds_the_very_code_that_was_deployed(self, serve: Serve, tmp_path: Path) -> None:
        operator = serve()
        operator.run("--unlocked")
        assert operator.run("--standard-json", str(tmp_path / "explorer")).code == DONE
        given = json.loads((tmp_path / "explorer/standard-input.json").read_text())
        about = json.loads((tmp_path / "explorer/contracts.json").read_text())["TestStablecoin"]
        file, name = about["contract"].split(":")
        # The sources of all, the code of one: the compiler's time goes into code.
        given["settings"]["outputSelection"] = {file: {name: ["evm.bytecode"]}}
        empty = tmp_path / "empty"
        empty.mkdir()
        compiled = subprocess.run(
            [str(SOLC), "--standard-json"],
            cwd=empty,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=150,
            check=True,
        )
        created = json.loads(compiled.stdout)["contracts"][file][name]["evm"]["bytecode"]["object"]
        init_code = bytes.fromhex(created + about["constructor_arguments"])
        assert "0x" + keccak(init_code).hex() == operator.record()["contracts"]["token"]["init_code_hash"]


class TestVerify:
    def test_asks_for_no_key_and_no_record(self, serve: Serve) -> None:
        operator = serve()
        operator.run("--unlocked")
        stranger = Operator(operator.chain, operator.record_path.parent / "stranger")
        verified = stranger.run("--verify")
        assert verified.code == DONE, verified.said
        assert [line.split()[2] for line in verified.out.splitlines()] == ["exact"] * len(
            operator.record()["contracts"]
        )

    def test_finds_one_changed_byte(self, serve: Serve) -> None:
        operator = serve()
        operator.run("--unlocked")
        address = operator.record()["escrow"]
        code = bytearray.fromhex(operator.chain.call("eth_getCode", address, "latest")[2:])
        code[len(code) // 2] ^= 1
        operator.chain.call("anvil_setCode", address, "0x" + code.hex())
        verified = operator.run("--verify")
        assert verified.code == DIFFERS
        assert f"the code at {address} is not the one built here" in verified.said

    def test_finds_immutables_of_another_contract(self, serve: Serve) -> None:
        here, elsewhere = serve(), serve(chain_id=OTHER_CHAIN_ID)
        here.run("--unlocked")
        # The very same code, but made for another chain.
        for key in ("escrow", "registry"):
            address = here.record()[key]
            code = here.chain.call("eth_getCode", address, "latest")
            elsewhere.chain.call("anvil_setCode", address, code)
        verified = elsewhere.run("--verify", chain_id=OTHER_CHAIN_ID)
        assert verified.code == DIFFERS, verified.out
        assert "made for another chain" in verified.said

    def test_finds_nothing_where_nothing_was_deployed(self, serve: Serve) -> None:
        verified = serve().run("--verify")
        assert verified.code == DIFFERS
        assert "nothing lies at" in verified.said
