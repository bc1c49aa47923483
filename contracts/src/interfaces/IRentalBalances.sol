// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Authorization} from "../types/RentalTypes.sol";

/// @notice Money that belongs to an account inside the escrow and moves only by its signature.
interface IRentalBalances {
    /// @notice A push failed, so its amount stayed inside the escrow. What is credited on purpose (a fee, a payout without a payee)
    /// is told by the rental's own event alone.
    event Credited(bytes32 indexed account, address indexed token, uint256 amount);
    event Deposited(bytes32 indexed account, address indexed token, uint256 amount);
    /// @param amount What went to `to`; `tip` went to the sender of the transaction beside it.
    event Withdrawn(bytes32 indexed account, address indexed token, address to, uint128 amount, uint128 tip);

    error RentalEscrow_BalanceTooLow(bytes32 account, uint256 balance, uint256 wanted);
    error RentalEscrow_InexactReceipt(uint256 received, uint256 wanted);
    error RentalEscrow_InvalidSignature();
    error RentalEscrow_NoAddressToPayFrom(bytes32 account);
    error RentalEscrow_Unauthorized(bytes32 account);
    error RentalEscrow_WrongNonce(uint64 nonce, uint64 expected);
    error RentalEscrow_WrongPayee(address payee);
    error RentalEscrow_ZeroAddress();
    error RentalEscrow_Expired(uint256 nowAt, uint256 limit);

    /// @notice What an account holds of a token, and the nonce its next withdrawal must carry.
    function balances(address token, bytes32 account) external view returns (uint128 amount, uint64 nonce);

    /// @notice Adds `amount` of the sender's tokens (by allowance) to the balance of `account`.
    function deposit(address token, bytes32 account, uint128 amount) external;

    /// @notice Adds `amount` of the tokens of `from`, who authorised it (ERC-3009) under the nonce
    /// hashStruct(Deposit(account, salt)), to the balance of `account`. Anyone may send it.
    function depositWithAuthorization(
        address token,
        address from,
        bytes32 account,
        bytes32 salt,
        uint128 amount,
        Authorization calldata authorization
    ) external;

    /// @notice Pays `amount` to `to` and `tip` to the sender out of an account, by the word of whose it is.
    /// @param signature Of Withdraw(account, token, to, amount, tip, nonce, valid_until); empty if the account is msg.sender's.
    function withdraw(
        bytes32 account,
        address token,
        address to,
        uint128 amount,
        uint128 tip,
        uint64 nonce,
        uint40 validUntil,
        bytes calldata signature
    ) external;
}
