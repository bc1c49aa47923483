// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @notice Who signed a digest. A signer is known by its account: keccak256 of its bytes (20-byte address, 64-byte P-256
/// point, or an ERC-7913 signer). No answer depends on the signature's own bytes beyond who made it.
library Signatures {
    /// @notice Bytes of a secp256k1 signature: r, s, v.
    uint256 internal constant SECP256K1_LENGTH = 65;
    /// @notice Bytes of a P-256 signature: qx, qy, r, s.
    uint256 internal constant P256_LENGTH = 128;

    /// @notice The account of an address.
    function accountOf(address who) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(who));
    }

    /// @notice The account of a key whose answer can never change: secp256k1 recovered without looking at code, or P-256
    /// over sha256(digest), as WebCrypto and secure elements sign. Low s only.
    /// @return account The signer, or zero if the signature is not one of the two or not valid. Never reverts.
    function statelessAccount(bytes32 digest, bytes calldata signature) internal view returns (bytes32 account) {
        if (signature.length == SECP256K1_LENGTH) {
            (account, ) = _recoverSecp256k1(digest, signature);
        } else if (signature.length == P256_LENGTH) {
            account = _verifyP256(digest, signature);
        }
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
        if (signature.length == SECP256K1_LENGTH) {
            (account, who) = _recoverSecp256k1(digest, signature);
            return (account, who, true);
        }
        if (signature.length == P256_LENGTH) return (_verifyP256(digest, signature), address(0), true);

        (bytes memory signer, bytes memory inner) = abi.decode(signature, (bytes, bytes));
        if (!SignatureChecker.isValidSignatureNow(signer, digest, inner)) return (0, address(0), false);
        return (keccak256(signer), signer.length == 20 ? address(bytes20(signer)) : address(0), false);
    }

    function _recoverSecp256k1(bytes32 digest, bytes calldata signature) private pure returns (bytes32, address) {
        (address who, ECDSA.RecoverError problem, ) = ECDSA.tryRecoverCalldata(digest, signature);
        return problem == ECDSA.RecoverError.NoError ? (accountOf(who), who) : (bytes32(0), address(0));
    }

    function _verifyP256(bytes32 digest, bytes calldata signature) private view returns (bytes32) {
        (bytes32 qx, bytes32 qy) = (bytes32(signature[0:32]), bytes32(signature[32:64]));
        (bytes32 r, bytes32 s) = (bytes32(signature[64:96]), bytes32(signature[96:128]));
        bool valid = P256.verify({h: sha256(abi.encode(digest)), r: r, s: s, qx: qx, qy: qy});
        return valid ? keccak256(signature[0:64]) : bytes32(0);
    }
}
