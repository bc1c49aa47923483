"""Export what other languages need of the contracts into services/settlement/abi: ABIs, and the signed types' hashes.

The hashes come out of the compiled contracts, which a chain of its own executes for a moment, so they are what is checked on
chain. With --check nothing is written, and a difference is an error.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
from eth_abi import decode
from eth_utils import keccak

CONTRACTS = Path(__file__).resolve().parent.parent
ABI_FOLDER = CONTRACTS.parent / "services" / "settlement" / "abi"
ANVIL = CONTRACTS / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
EXPORTED = [
    "ArbiterPanel",
    "ArbitrationDesk",
    "BatchAnchor",
    "DeviceRegistry",
    "PasskeyVerifier",
    "RentalEscrow",
    "TestStablecoin",
]
BOOK_ADDRESS = "0x00000000000000000000000000000000000b00c5"
START_SECONDS = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--port", type=int, required=True, help="a free port for the chain")
    options = parser.parse_args(arguments)
    files = {f"{name}.json": render(abi(name)) for name in EXPORTED}
    files["type_hashes.json"] = render(type_hashes(options.port))
    if options.check:
        return check(files)
    ABI_FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (ABI_FOLDER / name).write_text(text)
    return 0


def check(files: dict[str, str]) -> int:
    drifted = [name for name, text in files.items() if read(ABI_FOLDER / name) != text]
    for name in drifted:
        print(
            f"{ABI_FOLDER / name} differs from the contracts: run contracts/scripts/export_abi.sh",
            file=sys.stderr,
        )
    return 1 if drifted else 0


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def render(document: Any) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def artifact(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONTRACTS / f"build/contracts/{name}.json").read_text())
    return loaded


def abi(name: str) -> list[dict[str, Any]]:
    """Return the ABI in an order that does not depend on the source's."""
    return sorted(artifact(name)["abi"], key=lambda entry: (entry["type"], entry.get("name", ""), str(entry)))


def type_hashes(port: int) -> dict[str, dict[str, str]]:
    """Return each signed type's encoding and hash by its name."""
    command = [str(ANVIL), "--port", str(port), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as chain:
        try:
            raw = call_book(f"http://127.0.0.1:{port}")
        finally:
            chain.terminate()
    (book,) = decode(["(string,bytes32)[]"], raw)
    return {
        encoding.split("(")[0]: {"encoding": encoding, "type_hash": "0x" + type_hash.hex()}
        for encoding, type_hash in book
    }


def call_book(url: str) -> bytes:
    code = artifact("SignedTypeBook")["deployedBytecode"]
    call = {"to": BOOK_ADDRESS, "data": "0x" + keccak(text="all()")[:4].hex()}
    params = [call, "latest", {BOOK_ADDRESS: {"code": "0x" + code}}]
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params}
    answer = post_when_up(url, request)
    return bytes.fromhex(answer["result"][2:])


def post_when_up(url: str, request: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            answer: dict[str, Any] = requests.post(url, json=request, timeout=5).json()
            return answer
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
