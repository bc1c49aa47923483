// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

// Members of signed types keep the names they are signed under, so that one table maps Solidity, Python and wallets.
// In calldata a member that is `bytes` in the signed type travels as its keccak256, and a nested struct as its hashStruct:
// the digest is the same, and a call stays small.

/// @notice The part of an agreement that every claim needs. Amounts are denoted in the token's base units.
struct Pay {
    /// @dev keccak256 of the owner's signer bytes: the account that is paid.
    bytes32 owner;
    /// @dev keccak256 of the renter's session key: 20-byte address or 64-byte P-256 point.
    bytes32 renter_agent;
    /// @dev keccak256 of the device's meter key: 20-byte address or 64-byte P-256 point.
    bytes32 meter;
    address token;
    address fee_to;
    /// @dev Denoted in 1/10,000 of what is paid.
    uint16 fee_bps;
    /// @dev Gross: fee and tax inside.
    uint96 max_total;
    /// @dev The most that may be owed beyond what the renter acknowledged.
    uint96 block_max;
    uint96 max_rate_per_hour;
    /// @dev Unix seconds.
    uint40 start_at;
    /// @dev Seconds after the rental's end in which the owner claims.
    uint32 claim_window;
}

/// @notice The part of an agreement that claims do not need.
struct Rules {
    /// @dev keccak256 of the renter's signer bytes.
    bytes32 renter;
    /// @dev keccak256 of the signer bytes of the owner's agent.
    bytes32 owner_agent;
    address arbiter;
    /// @dev Denoted in the token's base units.
    uint96 deposit;
    /// @dev Unix seconds.
    uint40 fund_by;
    /// @dev Unix seconds.
    uint40 end_by;
    /// @dev Seconds between an exit and the end it causes.
    uint32 notice;
    /// @dev Seconds after the claims have ended in which the renter may dispute the tail.
    uint32 challenge_window;
    /// @dev hashStruct of Detail, which the escrow never needs to read.
    bytes32 detail;
}

/// @notice A whole agreement.
struct Terms {
    Pay pay;
    Rules rules;
}

/// @notice A device's reading.
struct Reading {
    bytes32 rental_id;
    uint64 seq;
    /// @dev Cumulative, denoted in the token's base units.
    uint96 amount_due;
    bool last;
    /// @dev hashStruct of Sample.
    bytes32 sample;
}

/// @notice A renter's ceiling, signed a block of use ahead.
struct Ceiling {
    bytes32 rental_id;
    /// @dev Cumulative, denoted in the token's base units.
    uint96 max_claimable;
    /// @dev Cumulative, denoted in the token's base units.
    uint96 ack_amount;
    /// @dev hashStruct of the acknowledged reading, zero for none.
    bytes32 ack_reading;
}

/// @notice One row of evidence: what the device measured and what the renter allowed.
struct Claim {
    Pay pay;
    /// @dev hashStruct of Rules.
    bytes32 rules;
    Reading reading;
    bytes meter_signature;
    Ceiling ceiling;
    bytes renter_agent_signature;
}

/// @notice What the two sides agree a rental ends with. Amounts are denoted in the token's base units.
struct Closing {
    /// @dev Cumulative gross price of the whole rental.
    uint96 use;
    /// @dev The part of the deposit that goes to the owner.
    uint96 damage;
    /// @dev Unix seconds.
    uint40 valid_until;
}

/// @notice A token permit (EIP-2612) for the escrow.
struct Permit {
    uint256 value;
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice A token authorisation (ERC-3009) for the escrow. Value and nonce are derived, never passed.
struct Authorization {
    uint256 valid_after;
    uint256 valid_before;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice A Permit2 authorisation for the escrow. Token, amount and nonce are derived, never passed.
struct Permit2Authorization {
    /// @dev Unix seconds.
    uint256 deadline;
    bytes signature;
}

/// @notice Where money is pushed. Zero, or a failed push, credits the account inside the escrow instead.
struct Payees {
    address owner;
    address renter;
}

/// @notice Everything the chain remembers of a rental: one slot.
struct Rental {
    // ----------------------------------------- slot 0
    /// @dev Cumulative gross amount that is final.
    uint96 paid;
    /// @dev What is owed beyond `paid`, waiting out the challenge window.
    uint96 tail;
    /// @dev Last Unix second of claims.
    uint40 claim_by;
    /// @dev Share of max_total that is funded, denoted in 1/10,000.
    uint16 funded_bps;
    /// @dev Bits of Status. Zero: never opened, or finished and forgotten.
    uint8 status;
}

/// @notice An account's balance of one token inside the escrow.
struct Balance {
    // ----------------------------------------- slot 0
    uint128 amount;
    uint64 nonce;
}

/// @notice Bits of Rental.status.
library Status {
    uint8 internal constant OPEN = 1;
    /// @dev The owner claims damage and has put down a bond.
    uint8 internal constant DAMAGE = 2;
    /// @dev The renter disputes the tail.
    uint8 internal constant DISPUTE = 4;
    /// @dev The device contradicted itself: its tail counts for nothing.
    uint8 internal constant VOID = 8;
    /// @dev What nobody contests has gone back to the renter.
    uint8 internal constant SPLIT = 16;
    uint8 internal constant DONE = 128;
}

/// @notice What became of one row of claims.
enum ClaimOutcome {
    CLAIMED,
    NOTHING_NEW,
    NOT_OPEN,
    ALREADY_SPLIT,
    TOO_LATE,
    OTHER_RENTAL,
    BAD_METER_SIGNATURE,
    BAD_RENTER_AGENT_SIGNATURE
}
