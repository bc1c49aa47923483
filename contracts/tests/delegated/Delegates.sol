// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice An account's code (EIP-7702) that obeys one keyholder, named by whoever made the code. It signs by ERC-1271 over digests bound to
/// the account, as wallets do so that one keyholder's word for one account does not count for another.
contract KeyholderWallet {
    address private immutable KEYHOLDER;

    constructor(address keyholder) {
        KEYHOLDER = keyholder;
    }

    function execute(address target, bytes calldata data) external {
        require(msg.sender == KEYHOLDER || msg.sender == address(this), "not the keyholder");
        (bool success, ) = target.call(data);
        require(success, "the call failed");
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        bytes32 own = keccak256(abi.encode(address(this), digest));
        address signer = ecrecover(own, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        return signer != address(0) && signer == KEYHOLDER ? this.isValidSignature.selector : bytes4(0);
    }

    function tokensReceived(address, uint256) external {}
}

/// @notice Code that does for anybody whatever they say.
contract ObligingAccount {
    function execute(address target, bytes calldata data) external {
        (bool success, ) = target.call(data);
        require(success, "the call failed");
    }

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}

/// @notice Code that answers nothing.
contract RefusingAccount {
    fallback() external payable {
        revert("refused");
    }
}

/// @notice Code that burns what it is given.
contract BurningAccount {
    fallback() external payable {
        while (true) {}
    }
}

/// @notice A token that tells a receiver with code, and moves nothing where that fails.
contract HookedToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        // A delegated account has 23 bytes of code: 0xef0100 and the address of what it runs.
        if (to.code.length == 23) KeyholderWallet(to).tokensReceived(from, amount);
        return true;
    }
}
