// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

interface IToken {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// @notice Permit2's signature transfers, written anew from its documented rules: its domain has no version, the spender is who
/// calls, a nonce is a bit that is used up once, and at most what was permitted moves.
contract SignatureTransfer {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMISSIONS_TYPEHASH = keccak256("TokenPermissions(address token,uint256 amount)");
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256(
            "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
        );

    mapping(address owner => mapping(uint256 word => uint256)) public nonceBitmap;

    error InvalidNonce();
    error InvalidSigner();
    error SignatureExpired(uint256 deadline);

    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes calldata signature
    ) external {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        require(details.requestedAmount <= permit.permitted.amount, "more than permitted");
        uint256 bit = 1 << uint8(permit.nonce);
        uint256 flipped = nonceBitmap[owner][permit.nonce >> 8] ^= bit;
        if (flipped & bit == 0) revert InvalidNonce();
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", _separator(), _structHash(permit)));
        require(signature.length == 65, "65 bytes");
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        if (signer == address(0) || signer != owner) revert InvalidSigner();
        require(IToken(permit.permitted.token).transferFrom(owner, details.to, details.requestedAmount));
    }

    function _structHash(PermitTransferFrom calldata permit) private view returns (bytes32) {
        bytes32 permissions = keccak256(
            abi.encode(PERMISSIONS_TYPEHASH, permit.permitted.token, permit.permitted.amount)
        );
        return keccak256(abi.encode(PERMIT_TYPEHASH, permissions, msg.sender, permit.nonce, permit.deadline));
    }

    function _separator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Permit2"), block.chainid, address(this)));
    }
}
