// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

interface Ruled {
    function rule(uint256 disputeId, uint256 ruling) external;
}

interface Panel {
    function createDispute(uint256 choices, bytes calldata extraData) external payable returns (uint256);
}

/// @notice Calls somebody back in the middle of a call, and remembers the answer.
contract CallsBack {
    address private _target;
    bytes private _call;
    bool public hasSucceeded;
    bytes4 public answer;

    function callBack(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function _callBack() internal {
        if (_target == address(0)) return;
        bytes memory answered;
        (hasSucceeded, answered) = _target.call(_call);
        answer = bytes4(answered);
    }
}

/// @notice An arbitrator (ERC-792) that asks, names and rules whatever it is told to.
contract WilfulArbitrator is CallsBack {
    uint256 public price;
    uint256 public nextId = 1;
    bool public refuses;

    function charge(uint256 amount) external {
        price = amount;
    }

    function nameNext(uint256 disputeId) external {
        nextId = disputeId;
    }

    function refuse() external {
        refuses = true;
    }

    function arbitrationCost(bytes calldata) external view returns (uint256) {
        return price;
    }

    function createDispute(uint256, bytes calldata) external payable returns (uint256) {
        require(!refuses, "no");
        _callBack();
        return nextId;
    }

    function decide(Ruled subject, uint256 disputeId, uint256 ruling) external {
        subject.rule(disputeId, ruling);
    }
}

/// @notice Something to be ruled over (ERC-792) that may take no ruling, or call back while it takes one.
contract WilfulArbitrable is CallsBack {
    bool public refuses;
    uint256 public rulings;
    uint256 public lastRuling;

    function refuse() external {
        refuses = true;
    }

    function raiseWith(Panel panel, uint256 choices, bytes calldata extraData) external payable returns (uint256) {
        return panel.createDispute{value: msg.value}(choices, extraData);
    }

    function rule(uint256, uint256 ruling) external {
        require(!refuses, "no");
        ++rulings;
        lastRuling = ruling;
        _callBack();
    }
}
