"""Where a transaction's gas goes: by what it is spent on, and by the source line that spends it."""

from collections import Counter
from typing import Any

from chain import Sent
from scene import Scene

INTRINSIC = 21_000
KINDS = {
    "SLOAD": "storage read",
    "SSTORE": "storage write",
    "TLOAD": "transient storage",
    "TSTORE": "transient storage",
    "KECCAK256": "hashing",
    "CALLDATACOPY": "calldata to memory",
    "CALLDATALOAD": "calldata read",
    "MSTORE": "memory",
    "MLOAD": "memory",
    "MCOPY": "memory",
    "EXTCODESIZE": "account access",
    "BALANCE": "account access",
}
CALLS = {"CALL", "STATICCALL", "DELEGATECALL"}
LINES = 25


def profile(scene: Scene, sent: Sent) -> str:
    options = {"disableMemory": True, "disableStorage": True, "enableReturnData": False}
    trace = scene.chain.rpc("debug_traceTransaction", sent.hash, options)
    zero = sent.calldata.count(0)
    spent = Counter({"transaction": INTRINSIC, "calldata bytes": 4 * zero + 16 * (len(sent.calldata) - zero)})
    by_line: Counter[str] = Counter()
    source = Source(scene.escrow.artifact)
    steps = trace["structLogs"]
    for index, step in enumerate(steps):
        cost = own_cost(steps, index)
        kind = kind_of(steps, index)
        spent[kind if step["depth"] == 1 else f"token: {kind}"] += cost
        if step["depth"] == 1:
            by_line[source.line(step["pc"])] += cost
    spent["refund"] = sent.gas - sum(spent.values())
    parts = [f"{gas:>9,}  {kind}" for kind, gas in spent.most_common()]
    lines = [f"{gas:>9,}  {line}" for line, gas in by_line.most_common(LINES)]
    return "\n".join([*parts, "  by source line of the escrow, calls to others left out:", *lines])


def own_cost(steps: list[dict[str, Any]], index: int) -> int:
    """Return what a step spent itself: of a call into code, what the code did not spend."""
    step = steps[index]
    if index + 1 == len(steps):
        return int(step["gasCost"])
    following = steps[index + 1]
    if following["depth"] == step["depth"]:
        return int(step["gas"]) - int(following["gas"])
    if following["depth"] < step["depth"]:
        return int(step["gasCost"]) if step["op"] not in {"RETURN", "STOP", "REVERT"} else 0
    inner_end = next(i for i in range(index + 1, len(steps)) if steps[i]["depth"] == step["depth"])
    inner = int(following["gas"]) - int(steps[inner_end - 1]["gas"]) + last_cost(steps[inner_end - 1])
    return int(step["gas"]) - int(steps[inner_end]["gas"]) - inner


def last_cost(step: dict[str, Any]) -> int:
    return 0 if step["op"] in {"RETURN", "STOP", "REVERT"} else int(step["gasCost"])


def kind_of(steps: list[dict[str, Any]], index: int) -> str:
    name = steps[index]["op"]
    if name in CALLS:
        target = int(steps[index]["stack"][-2], 16)
        return f"precompile {target:#x}" if target <= 0x100 else "call"
    return "event" if name.startswith("LOG") else KINDS.get(name, "other code")


class Source:
    """The source line of each place in the escrow's code."""

    def __init__(self, artifact: dict[str, Any]) -> None:
        self._places = artifact["pcMap"]
        self._paths = artifact["allSourcePaths"]
        self._texts: dict[str, bytes] = {}

    def line(self, pc: int) -> str:
        place = self._places.get(str(pc)) or {}
        if place.get("path") is None or place.get("offset") is None:
            return "made by the compiler"
        path = self._paths.get(str(place["path"]), place["path"])
        text = self._texts.setdefault(path, self._read(path))
        start, end = place["offset"]
        number = text[:start].count(b"\n") + 1
        words = text[start:end].split(b"\n")[0].decode(errors="replace").strip()
        return f"{path.rsplit('/', 1)[-1]}:{number}  {words[:70]}"

    @staticmethod
    def _read(path: str) -> bytes:
        from chain import CONTRACTS

        file = CONTRACTS / path if not path.startswith("@") else CONTRACTS / "node_modules" / path
        return file.read_bytes() if file.exists() else b""
