// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {SignedTypes} from "./libraries/SignedTypes.sol";

/// @title SignedTypeBook
/// @notice Tells the protocol's EIP-712 types as the contracts hash them, so that other languages can compare. Never deployed:
/// its code is called where it lies.
contract SignedTypeBook {
    struct SignedType {
        string encoding;
        bytes32 typeHash;
    }

    /// @notice Every type, with the hash that the contracts use.
    function all() external pure returns (SignedType[] memory book) {
        book = new SignedType[](16);
        book[0] = SignedType(SignedTypes.AGREEMENT, SignedTypes.AGREEMENT_TYPEHASH);
        book[1] = SignedType(SignedTypes.PAY, SignedTypes.PAY_TYPEHASH);
        book[2] = SignedType(SignedTypes.RULES, SignedTypes.RULES_TYPEHASH);
        book[3] = SignedType(SignedTypes.DETAIL, SignedTypes.DETAIL_TYPEHASH);
        book[4] = SignedType(SignedTypes.READING, SignedTypes.READING_TYPEHASH);
        book[5] = SignedType(SignedTypes.SAMPLE, SignedTypes.SAMPLE_TYPEHASH);
        book[6] = SignedType(SignedTypes.CEILING, SignedTypes.CEILING_TYPEHASH);
        book[7] = SignedType(SignedTypes.CLOSE, SignedTypes.CLOSE_TYPEHASH);
        book[8] = SignedType(SignedTypes.FUND, SignedTypes.FUND_TYPEHASH);
        book[9] = SignedType(SignedTypes.EXIT, SignedTypes.EXIT_TYPEHASH);
        book[10] = SignedType(SignedTypes.DISPUTE, SignedTypes.DISPUTE_TYPEHASH);
        book[11] = SignedType(SignedTypes.DAMAGE, SignedTypes.DAMAGE_TYPEHASH);
        book[12] = SignedType(SignedTypes.UNLOCK, SignedTypes.UNLOCK_TYPEHASH);
        book[13] = SignedType(SignedTypes.DEPOSIT, SignedTypes.DEPOSIT_TYPEHASH);
        book[14] = SignedType(SignedTypes.WITHDRAW, SignedTypes.WITHDRAW_TYPEHASH);
        book[15] = SignedType(SignedTypes.POSSESSION, SignedTypes.POSSESSION_TYPEHASH);
    }
}
