// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice A token with the habits of the worst ones, each switched on by itself.
contract AwkwardToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public isDenied;
    uint256 public feeBps;
    bool public returnsNothing;
    bool public returnsFalse;
    bool public returnsMegabyte;
    address public hookTarget;
    bytes public hookCall;
    bool public hookSucceeded;
    bytes4 public hookAnswer;
    mapping(address => bool) public eatsGas;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function takeFee(uint256 bps) external {
        feeBps = bps;
    }

    function returnNothing() external {
        returnsNothing = true;
    }

    function returnFalse() external {
        returnsFalse = true;
    }

    function returnMegabyte() external {
        returnsMegabyte = true;
    }

    function deny(address who) external {
        isDenied[who] = true;
    }

    function eatGasOf(address who) external {
        eatsGas[who] = true;
    }

    function callBack(address target, bytes calldata data) external {
        hookTarget = target;
        hookCall = data;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        // A selector and two words: some tokens take no byte more.
        require(msg.data.length == 68, "not a transfer");
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        require(!isDenied[from] && !isDenied[to], "denied");
        if (returnsFalse) return false;
        balanceOf[from] -= amount;
        balanceOf[to] += amount - (amount * feeBps) / 10_000;
        if (eatsGas[to]) while (true) {}
        if (hookTarget != address(0)) {
            bytes memory answer;
            (hookSucceeded, answer) = hookTarget.call(hookCall);
            hookAnswer = bytes4(answer);
        }
        if (returnsNothing) assembly { return(0, 0) }
        if (returnsMegabyte) assembly { mstore(0, 1) return(0, 1000000) }
        return true;
    }
}

/// @notice A wallet that is code (ERC-1271): it accepts one digest, as long as it likes.
contract CodeWallet {
    bytes32 public accepted;

    function accept(bytes32 digest) external {
        accepted = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == accepted ? this.isValidSignature.selector : bytes4(0);
    }

    function approve(AwkwardToken token, address spender, uint256 amount) external {
        token.approve(spender, amount);
    }
}

/// @notice A wallet that answers everything but what ERC-1271 asks for, in one of several ways.
contract LyingWallet {
    enum Lie {
        ANSWERS_ONE,
        ANSWERS_NOTHING,
        ANSWERS_WITH_DIRT,
        REVERTS,
        EATS_GAS
    }

    Lie public lie;

    function tell(Lie lie_) external {
        lie = lie_;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        if (lie == Lie.ANSWERS_ONE) assembly { mstore(0, 1) return(0, 32) }
        if (lie == Lie.ANSWERS_NOTHING) assembly { return(0, 0) }
        // The magic value, with something behind it.
        if (lie == Lie.ANSWERS_WITH_DIRT) assembly { mstore(0, or(shl(224, 0x1626ba7e), 1)) return(0, 32) }
        require(lie != Lie.REVERTS, "no");
        while (true) {}
    }
}

/// @notice A verifier of other keys (ERC-7913): a key accepts the signature that equals it.
contract KeyVerifier {
    function verify(bytes calldata key, bytes32, bytes calldata signature) external pure returns (bytes4) {
        return keccak256(key) == keccak256(signature) ? this.verify.selector : bytes4(0xffffffff);
    }
}
