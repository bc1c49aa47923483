"""Backup and restore in containers: the platform's volumes are destroyed, and what was backed up is back."""

from pathlib import Path

import pytest

from hireling.rental.bill import SignedBill
from tests.compose.containers import ONE_COPY, Containers
from tests.compose.rentals import all_exact, assert_all_is_well, assert_exact, rent
from tests.e2e.journey import Sides

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

# All but the backup, the chain, and what the two machines have at home.
DESTROYED = (
    "secrets",
    "server-secrets",
    "settlement-keys",
    "postgres",
    "rabbitmq",
    "mosquitto",
    "broker",
    "deployments",
)
# What is kept apart from the backup, and put back by hand.
PASSPHRASES = {
    "settlement": "/secrets/settlement/settlement_passphrase",
    "negotiation": "/secrets/negotiation/negotiation_passphrase",
}


def back_up(containers: Containers, name: str) -> None:
    """Write a backup to the volume for them."""
    containers("run", "--rm", "--no-TTY", "backup-cluster")
    containers("run", "--rm", "--no-TTY", "backup", f"/backups/{name}")


def put_passphrase(containers: Containers, path: str, value: str) -> None:
    """Write a passphrase to the volume of secrets, which is empty."""
    script = f"umask 077; mkdir -p {Path(path).parent}; printf %s {value} > {path}"
    containers("run", "--rm", "--no-TTY", "--entrypoint", "sh", "secrets", "-c", script)


def test_what_was_backed_up_survives_the_loss_of_every_volume(containers: Containers, tmp_path: Path) -> None:
    before = rent(containers.gateway(), tmp_path / "before")
    back_up(containers, "first")
    kept = {
        path: containers("exec", "--no-TTY", service, "cat", path) for service, path in PASSPHRASES.items()
    }

    containers.lose(*DESTROYED)
    for path, value in kept.items():
        put_passphrase(containers, path, value)
    containers("run", "--rm", "--no-TTY", "restore-cluster", "/backups/first")
    containers("run", "--rm", "--no-TTY", "restore", "/backups/first")
    containers.up(ONE_COPY)

    sides = Sides(containers.gateway(), tmp_path)
    path = f"/v1/rentals/0x{before.signed.bill.rental.rental_id.hex()}/bill"
    assert SignedBill.model_validate(sides.get(path), strict=False) == before.signed
    assert_exact(before, sides)
    assert_all_is_well(containers)
    with all_exact(containers.gateway(), tmp_path) as rentals:
        rentals.append(rent(containers.gateway(), tmp_path / "after"))
    assert_all_is_well(containers)


def test_nothing_is_put_over_what_is_there(containers: Containers) -> None:
    back_up(containers, "second")
    again = containers.refuses("run", "--rm", "--no-TTY", "backup", "/backups/second")
    assert "a backup never replaces another" in " ".join(again.split())
    over_it = containers.refuses("run", "--rm", "--no-TTY", "restore-cluster", "/backups/second")
    assert "the server runs" in over_it
