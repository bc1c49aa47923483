"""The compiled escrow has the layout and the entries that its specification promises; what docs/ shows of them is current."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2]
ADMINISTRATION = ("admin", "initialize", "mint", "owner", "pause", "rescue", "role", "sweep", "upgrade")


@pytest.fixture(scope="module")
def layout():
    return json.loads((CONTRACTS / "docs/storage-layout.json").read_text())["RentalEscrow"]


def entries_of(contract):
    abi = json.loads((CONTRACTS / f"build/contracts/{contract}.json").read_text())["abi"]
    return [entry["name"] for entry in abi if entry["type"] == "function"]


def test_the_layout_shown_is_the_compilers():
    script = CONTRACTS / "scripts/layout.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)

    assert checked.stderr == ""
    assert checked.returncode == 0


def test_a_rental_is_one_slot(layout):
    rental = layout["structs"]["Rental"]

    assert [member["label"] for member in rental["members"]] == [
        "paid",
        "tail",
        "claim_by",
        "funded_bps",
        "status",
    ]
    assert {member["slot"] for member in rental["members"]} == {0}
    assert rental["bytes"] == 32


@pytest.mark.parametrize("contract", ["RentalEscrow", "ArbitrationDesk", "ArbiterPanel"])
def test_no_contract_has_an_entry_for_an_administrator(contract):
    entries = entries_of(contract)

    assert [name for name in entries if any(word in name.lower() for word in ADMINISTRATION)] == []


def test_the_escrow_knows_no_registry(layout):
    """Neither a variable nor an entry of the escrow leads to a registry."""
    assert [name for name in entries_of("RentalEscrow") if "registry" in name.lower() or "device" in name.lower()] == []
    own = {
        variable["label"] for variable in layout["variables"] if not variable["label"].endswith("Fallback")
    }
    assert own == {"balances", "rentals"}
