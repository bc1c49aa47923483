// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Authorization, Permit} from "../src/types/RentalTypes.sol";
import {Bookkeeper} from "./Bookkeeper.sol";

/// @notice The ways in which the renter lets the escrow take its tokens.
abstract contract Payments is Bookkeeper {
    /// @dev EIP-2612, for exactly this much.
    function _permit(uint256 value) internal view returns (Permit memory permit) {
        address renter = vm.addr(RENTER);
        bytes32 typeHash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        uint256 nonce = token.nonces(renter);
        bytes32 structHash = keccak256(
            abi.encode(typeHash, renter, address(escrow), value, nonce, block.timestamp)
        );
        permit.value = value;
        permit.deadline = block.timestamp;
        (permit.v, permit.r, permit.s) = vm.sign(RENTER, _tokenDigest(structHash));
    }

    /// @dev ERC-3009, bound to what it pays for.
    function _authorization(uint256 value, bytes32 nonce) internal view returns (Authorization memory authorization) {
        bytes32 typeHash = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        authorization.valid_before = block.timestamp + 1;
        bytes32 structHash = keccak256(
            abi.encode(typeHash, vm.addr(RENTER), address(escrow), value, 0, authorization.valid_before, nonce)
        );
        (authorization.v, authorization.r, authorization.s) = vm.sign(RENTER, _tokenDigest(structHash));
    }

    function _tokenDigest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }
}
