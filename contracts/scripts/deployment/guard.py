"""Whether a chain can carry the contracts: asked of the chain itself, by calls that send nothing."""

from collections.abc import Sequence

from deployment.errors import Refused
from deployment.node import Node, NodeError
from deployment.plan import LINKS, PROXY, Step

P256_PRECOMPILE = "0x" + "00" * 18 + "0100"
# A signature of RIP-7212's test vectors, which EIP-7951 took over: hash, r, s, x, y.
P256_VALID = bytes.fromhex(
    "4cee90eb86eaa050036147a12d49004b6b9c72bd725d39d4785011fe190f0b4d"
    "a73bd4903f0ce3b639bbbf6e8e80d16931ff4bcf5993d58468e8fb19086e8cac"
    "36dbcd03009df8c59286b162af3bd7fcc0450c9aa81be5d10d312af6c66b1d60"
    "4aebd3099c618202fcfe16ae7770b0c49ab5eadf74b754204a3bb6060e44eff3"
    "7618b065f9832de4ca6ca971a7a1adc826d0f7c00181a5fb2ddf79ae00b4e10e"
)
TRUE = (1).to_bytes(32, "big")
# Each runs as a creation and returns 42 in one word: what the compiler may emit by hard fork.
ANSWER = (42).to_bytes(32, "big")
OPCODES = {
    "Shanghai (PUSH0, EIP-3855)": "602a5f5260205ff3",
    "Cancun (TSTORE and TLOAD, EIP-1153)": "602a5f5d5f5c5f5260205ff3",
    "Cancun (MCOPY, EIP-5656)": "602a5f5260205f60205e60206020f3",
}
# The proxy's whole code: `create2(0, 32, calldatasize - 32, calldataload(0))`, and the address in 20 bytes.
PROXY_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
# Published with the proxy: its signature is made up, so nobody has the key of the account that it is sent from.
PROXY_TRANSACTION = (
    "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
    "1ba02222222222222222222222222222222222222222222222222222222222222222"
    "a02222222222222222222222222222222222222222222222222222222222222222"
)
PROXY_SENDER = "0x3fAB184622Dc19b6109349B94811493BF2a45362"
PROXY_COST = 10**16  # wei: 100,000 gas at the transaction's fixed 100 gwei


def require_chain(node: Node, expected: int) -> None:
    """Refuse a node of another chain than the one that was asked for."""
    served = node.chain_id()
    if served != expected:
        raise Refused(f"the node at {node} serves chain {served}, not {expected}: nothing was sent")


def require_abilities(node: Node) -> None:
    """Refuse a chain on which the contracts could be created, but not work."""
    for fork, code in OPCODES.items():
        if _executed(node, code) != ANSWER:
            raise Refused(f"this chain does not run the rules of {fork}: the contracts need them")
    valid = _precompiled(node, P256_VALID)
    # One bit away, so that a chain which says yes to everything is found too.
    invalid = _precompiled(node, P256_VALID[:31] + bytes([P256_VALID[31] ^ 1]) + P256_VALID[32:])
    if valid != TRUE or invalid == TRUE:
        raise Refused(
            "this chain has no P-256 precompile at 0x100 (EIP-7951, RIP-7212): passkeys and secure elements could not sign here"
        )


def require_arguments(node: Node, steps: Sequence[Step]) -> None:
    """Refuse arguments with which a contract could not be created, or would call nobody, before any other is sent."""
    sisters = {step.address.lower() for step in steps}
    for step in steps:
        linked = [str(step.arguments[name]) for name in LINKS if name in step.arguments]
        for address in linked:
            if address.lower() not in sisters and not node.code(address):
                raise Refused(f"{step.artifact.name}: {address} is no contract on this chain")
        # One that is given a sister's address may call it, and must wait until it is there.
        if step.arguments and not linked:
            _require_constructor(node, step)


def has_proxy(node: Node) -> bool:
    """Tell whether the deployment proxy is there. Raises Refused where its address holds something else."""
    code = node.code(PROXY)
    if code and code != PROXY_CODE:
        raise Refused(f"{PROXY} holds other code than the deterministic deployment proxy's")
    return bool(code)


def require_proxy(node: Node) -> None:
    """Refuse a chain without the proxy, saying how it gets there."""
    if not has_proxy(node):
        raise Refused(
            f"this chain has no deterministic deployment proxy at {PROXY}. Run again with --install-proxy: the deployer sends"
            f" {PROXY_COST / 10**18} ether to {PROXY_SENDER}, whose published transaction then creates it. A node that refuses"
            " transactions without a chain id must allow them for it (geth: --rpc.allow-unprotected-txs)"
        )


def _require_constructor(node: Node, step: Step) -> None:
    try:
        node.execute(step.init_code)
    except NodeError as error:
        reason = step.artifact.error(error.data) or str(error)
        raise Refused(f"{step.artifact.name} refuses its arguments: {reason}") from error


def _executed(node: Node, code: str) -> bytes:
    try:
        return node.execute(bytes.fromhex(code))
    except NodeError:
        return b""


def _precompiled(node: Node, payload: bytes) -> bytes:
    try:
        return node.call(P256_PRECOMPILE, payload)
    except NodeError:
        return b""
