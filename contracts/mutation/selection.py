"""Which tests try a mutant, and in which order: those that most likely kill it come first, the long walks last."""

from pathlib import Path

CONTRACTS = Path(__file__).resolve().parent.parent
SOURCES = (
    "src/escrow/Balances.sol",
    "src/escrow/Endings.sol",
    "src/escrow/Funding.sol",
    "src/escrow/Ledger.sol",
    "src/escrow/Metering.sol",
    "src/libraries/Accrual.sol",
    "src/libraries/PackedClaims.sol",
    "src/libraries/RentalWords.sol",
    "src/libraries/Signatures.sol",
    "src/libraries/SignedTypes.sol",
)
FOLDERS = ("rental_escrow", "counterparties", "delegated", "passkey", "arbitration")
WALKS = ("tests/generated/test_states.py", "tests/invariants/test_conservation.py")
FIRST = {
    "Balances": (
        "withdraw",
        "deposit",
        "counterparties/test_awkward_tokens",
        "counterparties/test_hostile_tokens",
    ),
    "Endings": ("close", "settle", "rule", "exit", "damage", "dispute"),
    "Funding": ("open", "top_up"),
    "Ledger": ("claim", "close", "settle"),
    "Metering": ("claim", "void_tail"),
    "Accrual": ("claim", "close", "settle"),
    "PackedClaims": ("claim",),
    "RentalWords": ("claim", "top_up", "exit", "dispute"),
    "Signatures": ("claim", "withdraw", "counterparties/test_signatures"),
    "SignedTypes": ("claim", "close", "withdraw", "deposit"),
}


def stages(path: str) -> list[list[str]]:
    """Return the tests for a mutant of this source, to be run one after the other until one fails."""
    every = sorted(
        str(file.relative_to(CONTRACTS))
        for folder in FOLDERS
        for file in (CONTRACTS / "tests" / folder).rglob("test_*.py")
    )
    likely = [
        test
        for named in FIRST[Path(path).stem]
        for test in every
        if f"/{named}/" in test or test == f"tests/{named}.py"
    ]
    return [likely, [test for test in every if test not in likely], list(WALKS)]
