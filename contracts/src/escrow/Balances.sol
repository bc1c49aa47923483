// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IPermit2} from "../interfaces/IPermit2.sol";
import {IRentalBalances} from "../interfaces/IRentalBalances.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Authorization, Balance, Permit2Authorization} from "../types/RentalTypes.sol";

/// @notice The one place where tokens come in and go out.
abstract contract Balances is IRentalBalances, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev The same address on every chain that has it.
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    mapping(address token => mapping(bytes32 account => Balance)) public override balances;

    /// @inheritdoc IRentalBalances
    function deposit(address token, bytes32 account, uint128 amount) external override nonReentrant {
        _pull(token, msg.sender, amount);
        balances[token][account].amount += amount;
        emit Deposited(account, token, amount);
    }

    /// @inheritdoc IRentalBalances
    function depositWithAuthorization(
        address token,
        address from,
        bytes32 account,
        bytes32 salt,
        uint128 amount,
        Authorization calldata authorization
    ) external override nonReentrant {
        _pullAuthorized(token, from, amount, SignedTypes.hashDeposit(account, salt), authorization);
        balances[token][account].amount += amount;
        emit Deposited(account, token, amount);
    }

    /// @inheritdoc IRentalBalances
    function withdraw(
        bytes32 account,
        address token,
        address to,
        uint128 amount,
        uint128 tip,
        uint64 nonce,
        uint40 validUntil,
        bytes calldata signature
    ) external override nonReentrant {
        if (block.timestamp > validUntil) revert RentalEscrow_Expired(block.timestamp, validUntil);
        bytes32 structHash = SignedTypes.hashWithdraw(account, token, to, amount, tip, nonce, validUntil);
        (bytes32 signer, , ) = _signer(structHash, signature);
        if (signer != account) revert RentalEscrow_Unauthorized(signer);

        Balance storage balance = balances[token][account];
        if (nonce != balance.nonce) revert RentalEscrow_WrongNonce(nonce, balance.nonce);
        balance.nonce = nonce + 1;
        _debit(token, account, uint256(amount) + tip);
        emit Withdrawn(account, token, to, amount, tip);

        IERC20(token).safeTransfer(to, amount);
        if (tip != 0) IERC20(token).safeTransfer(msg.sender, tip);
    }

    /// @dev The signer of a message; msg.sender if the signature is empty. Reverts if the signature is not valid.
    function _signer(
        bytes32 structHash,
        bytes calldata signature
    ) internal view returns (bytes32 account, address who, bool isStateless) {
        return _signerOfDigest(signature.length == 0 ? bytes32(0) : _hashTypedDataV4(structHash), signature);
    }

    /// @dev Like {_signer}, of a whole EIP-712 digest.
    function _signerOfDigest(
        bytes32 digest,
        bytes calldata signature
    ) internal view returns (bytes32 account, address who, bool isStateless) {
        if (signature.length == 0) return (Signatures.accountOf(msg.sender), msg.sender, true);
        (account, who, isStateless) = Signatures.anyAccount(digest, signature);
        if (account == 0) revert RentalEscrow_InvalidSignature();
    }

    /// @dev Tokens that take a fee on the way are refused: what is counted must be what came in.
    function _pull(address token, address from, uint256 amount) internal {
        uint256 before = _held(token);
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _requireReceipt(token, before, amount);
    }

    function _pullAuthorized(
        address token,
        address from,
        uint256 amount,
        bytes32 nonce,
        Authorization calldata authorization
    ) internal {
        uint256 before = _held(token);
        IERC3009(token).receiveWithAuthorization({
            from: from,
            to: address(this),
            value: amount,
            validAfter: authorization.valid_after,
            validBefore: authorization.valid_before,
            nonce: nonce,
            v: authorization.v,
            r: authorization.r,
            s: authorization.s
        });
        _requireReceipt(token, before, amount);
    }

    /// @dev Permit2 takes any unused number as a nonce, so the authorisation is bound to what it pays for.
    function _pullThroughPermit2(
        address token,
        address from,
        uint256 amount,
        bytes32 nonce,
        Permit2Authorization calldata authorization
    ) internal {
        uint256 before = _held(token);
        IPermit2(PERMIT2).permitTransferFrom(
            IPermit2.PermitTransferFrom(
                IPermit2.TokenPermissions(token, amount),
                uint256(nonce),
                authorization.deadline
            ),
            IPermit2.SignatureTransferDetails(address(this), amount),
            from,
            authorization.signature
        );
        _requireReceipt(token, before, amount);
    }

    function _requireReceipt(address token, uint256 before, uint256 amount) private view {
        uint256 received = _held(token) - before;
        if (received != amount) revert RentalEscrow_InexactReceipt(received, amount);
    }

    /// @dev A token that answers nothing holds nothing, and so never passes {_requireReceipt}.
    function _held(address token) private view returns (uint256 amount) {
        uint256 selector = uint32(IERC20.balanceOf.selector);
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x20, address())
            let success := staticcall(gas(), token, 0x1c, 0x24, 0x00, 0x20)
            if and(success, gt(returndatasize(), 0x1f)) {
                amount := mload(0x00)
            }
        }
    }

    function _debit(address token, bytes32 account, uint256 amount) internal {
        Balance storage balance = balances[token][account];
        uint256 word = _wordOf(balance);
        uint256 held = uint128(word);
        if (amount > held) revert RentalEscrow_BalanceTooLow(account, held, amount);
        unchecked {
            _setWord(balance, word - amount);
        }
    }

    function _credit(address token, bytes32 account, uint256 amount) internal {
        if (amount == 0) return;
        Balance storage balance = balances[token][account];
        uint256 word = _wordOf(balance);
        uint256 sum = uint128(word) + amount;
        if (sum > type(uint128).max) revert SafeCast.SafeCastOverflowedUintDowncast(128, sum);
        unchecked {
            _setWord(balance, word + amount);
        }
    }

    /// @dev A balance as the one word it is, the amount in its lower half: the compiler would read it again to write it.
    function _wordOf(Balance storage balance) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := sload(balance.slot)
        }
    }

    function _setWord(Balance storage balance, uint256 word) private {
        assembly ("memory-safe") {
            sstore(balance.slot, word)
        }
    }

    /// @dev Pushes where an address is named, else credits. A push that fails for whatever reason credits, so that a party who
    /// is blocked by the token never blocks the other.
    function _payOut(address token, bytes32 account, address payee, uint256 amount) internal {
        if (payee == address(0)) return _credit(token, account, amount);
        if (Signatures.accountOf(payee) != account) revert RentalEscrow_WrongPayee(payee);
        if (amount == 0 || _tryTransfer(token, payee, amount)) return;
        _credit(token, account, amount);
        emit Credited(account, token, amount);
    }

    /// @dev Reads at most one word of the answer: a hostile token cannot make the caller pay for a long one.
    function _tryTransfer(address token, address to, uint256 amount) private returns (bool success) {
        uint256 selector = uint32(IERC20.transfer.selector);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, selector)
            mstore(add(free, 0x20), to)
            mstore(add(free, 0x40), amount)
            mstore(0x00, 0)
            success := call(gas(), token, 0, add(free, 0x1c), 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { success := and(success, iszero(iszero(extcodesize(token)))) }
            default { success := and(success, and(gt(returndatasize(), 0x1f), eq(mload(0x00), 1))) }
        }
    }
}
