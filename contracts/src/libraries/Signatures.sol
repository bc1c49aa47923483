// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @notice Who signed a digest. A signer is known by its account: keccak256 of its bytes (20-byte address, 64-byte P-256
/// point, or an ERC-7913 signer). No answer depends on the signature's own bytes beyond who made it.
library Signatures {
    /// @notice Bytes of a secp256k1 signature: r, s, v.
    uint256 internal constant SECP256K1_LENGTH = 65;
    /// @notice Bytes of a compact secp256k1 signature (EIP-2098): r, then s with the parity in its highest bit.
    uint256 internal constant COMPACT_LENGTH = 64;
    /// @notice Bytes of a P-256 signature: qx, qy, r, s.
    uint256 internal constant P256_LENGTH = 128;

    /// @dev The P-256 precompile (EIP-7951, RIP-7212). Where a chain has none, no P-256 signature is valid.
    uint256 private constant P256VERIFY = 0x100;
    // Half of each curve's order: of the two values of s that sign alike, only the lower one is taken.
    uint256 private constant SECP256K1_HALF_N = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    uint256 private constant P256_HALF_N = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;

    /// @notice The account of an address.
    function accountOf(address who) internal pure returns (bytes32 account) {
        assembly ("memory-safe") {
            mstore(0x00, shl(96, who))
            account := keccak256(0x00, 20)
        }
    }

    /// @notice The account of a P-256 point.
    function accountOf(bytes32 qx, bytes32 qy) internal pure returns (bytes32 account) {
        assembly ("memory-safe") {
            mstore(0x00, qx)
            mstore(0x20, qy)
            account := keccak256(0x00, 0x40)
        }
    }

    /// @notice The account of a key whose answer can never change: secp256k1 recovered without looking at code, or P-256
    /// over sha256(digest), as WebCrypto and secure elements sign. Low s only.
    /// @return account The signer, or zero if the signature is not one of the two or not valid. Never reverts.
    function statelessAccount(bytes32 digest, bytes calldata signature) internal view returns (bytes32 account) {
        (account, ) = _stateless(digest, signature);
    }

    /// @notice The account of any signer: a stateless key, or `abi.encode(bytes signer, bytes inner)` for an ERC-1271
    /// wallet (20-byte signer) or another ERC-7913 verifier. May revert on a malformed signature.
    /// @return account The signer, or zero if the signature is not valid.
    /// @return who Its address where it has one, else zero.
    /// @return isStateless Whether the answer can never change.
    function anyAccount(
        bytes32 digest,
        bytes calldata signature
    ) internal view returns (bytes32 account, address who, bool isStateless) {
        if (signature.length <= SECP256K1_LENGTH || signature.length == P256_LENGTH) {
            (account, who) = _stateless(digest, signature);
            return (account, who, true);
        }
        (bytes memory signer, bytes memory inner) = abi.decode(signature, (bytes, bytes));
        if (!SignatureChecker.isValidSignatureNow(signer, digest, inner)) return (0, address(0), false);
        return (keccak256(signer), signer.length == 20 ? address(bytes20(signer)) : address(0), false);
    }

    /// @notice The secp256k1 signer of a digest, by an even (27) or odd (28) v; zero if there is none.
    function recover(bytes32 digest, uint256 v, bytes32 r, bytes32 s) internal view returns (address who) {
        if (uint256(s) > SECP256K1_HALF_N) return address(0);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, digest)
            mstore(add(free, 0x20), v)
            mstore(add(free, 0x40), r)
            mstore(add(free, 0x60), s)
            // The precompile answers nothing where there is no signer.
            mstore(0x00, 0)
            pop(staticcall(gas(), 0x01, free, 0x80, 0x00, 0x20))
            who := mload(0x00)
        }
    }

    /// @notice Whether a P-256 key signed sha256(digest).
    function isByP256(bytes32 digest, bytes32 qx, bytes32 qy, bytes32 r, bytes32 s) internal view returns (bool) {
        if (uint256(s) > P256_HALF_N) return false;
        bool success;
        bytes32 answer;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, digest)
            success := staticcall(gas(), 0x02, 0x00, 0x20, free, 0x20) // sha256
            mstore(add(free, 0x20), r)
            mstore(add(free, 0x40), s)
            mstore(add(free, 0x60), qx)
            mstore(add(free, 0x80), qy)
            // The precompile answers one word where the signature is valid, else nothing.
            mstore(0x00, 0)
            success := and(success, staticcall(gas(), P256VERIFY, free, 0xa0, 0x00, 0x20))
            answer := mload(0x00)
        }
        return success && answer == bytes32(uint256(1));
    }

    function _stateless(bytes32 digest, bytes calldata signature) private view returns (bytes32 account, address who) {
        uint256 length = signature.length;
        if (length == COMPACT_LENGTH) {
            bytes32 vs = _word(signature, 32);
            unchecked {
                who = recover(digest, 27 + (uint256(vs) >> 255), _word(signature, 0), (vs << 1) >> 1);
            }
        } else if (length == SECP256K1_LENGTH) {
            who = recover(digest, uint256(_word(signature, 64)) >> 248, _word(signature, 0), _word(signature, 32));
        } else if (length == P256_LENGTH) {
            (bytes32 qx, bytes32 qy) = (_word(signature, 0), _word(signature, 32));
            bool isValid = isByP256(digest, qx, qy, _word(signature, 64), _word(signature, 96));
            return (isValid ? accountOf(qx, qy) : bytes32(0), address(0));
        }
        if (who != address(0)) account = accountOf(who);
    }

    /// @dev The caller has checked the length.
    function _word(bytes calldata data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, at))
        }
    }
}
