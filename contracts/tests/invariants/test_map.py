"""The README's map of invariants to tests names tests that exist, and leaves out no invariant."""

import re
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[2]
README = Path(__file__).with_name("README.md").read_text()
INVARIANTS = range(1, 14)


def test_each_named_test_exists():
    named = re.findall(r"`([\w/.]+)::(\w+)`", README)
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"\b(def|function) {name}\(", (CONTRACTS / path).read_text())
    ]
    assert named
    assert missing == []


def test_no_invariant_is_left_out():
    assert [int(number) for number in re.findall(r"^\| (\d+)\. ", README, re.MULTILINE)] == list(INVARIANTS)
