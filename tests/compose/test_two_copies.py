"""Two copies of everything change no result, nor does the death of one of them in the middle of a rental."""

from pathlib import Path

import pytest

from tests.compose.containers import SCALED, Containers
from tests.compose.rentals import all_exact, assert_all_is_well, rent, rent_at_once

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

AT_ONCE = 4


def test_rentals_at_once_come_to_the_same(doubled: Containers, tmp_path: Path) -> None:
    copies = [doubled.gateway(copy) for copy in (1, 2)]
    assert copies[0] != copies[1]
    with all_exact(copies[0], tmp_path) as rentals:
        rentals.extend(rent_at_once([copies[number % 2] for number in range(AT_ONCE)], tmp_path))
    assert len({rental.signed.bill.total for rental in rentals}) == 1
    assert_all_is_well(doubled)


def test_one_copy_of_everything_dies_in_the_middle(doubled: Containers, tmp_path: Path) -> None:
    survivor = doubled.gateway(2)
    first_copies = [doubled.names(service)[0] for service in SCALED]
    with all_exact(survivor, tmp_path) as rentals:
        rentals.append(rent(survivor, tmp_path / "rental", half_way=lambda: doubled.kill(*first_copies)))
    assert_all_is_well(doubled)
