// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @dev One of each thing that can be reached or missed.
contract Sample {
    error Sample_TooLow(uint256 given);

    uint256 public kept;

    modifier counted() {
        kept += 1;
        _;
    }

    function keep(uint256 value) external {
        if (value < 10 || value == 77) revert Sample_TooLow(value);
        kept = value > 1000 ? 1000 : halved(value);
    }

    function halved(uint256 value) public pure returns (uint256 half) {
        if (value == 0) return 0;
        assembly ("memory-safe") {
            for { let left := value } gt(left, 1) { left := sub(left, 2) } { half := add(half, 1) }
            if gt(half, 50) { half := 50 }
            switch half
            case 7 { half := 8 }
        }
    }

    function shapes(uint256 times) external counted returns (uint256 turns) {
        require(times < 5, "too many");
        for (uint256 i = 0; i < times; ++i) if (i == 1) turns += 10; else turns += 1;
        while (turns > 11) turns -= 1;
        do {
            unchecked {
                turns += 1;
            }
        } while (turns < 3 && times != 0);
        try this.halved(times == 3 ? type(uint256).max : times) returns (uint256) {} catch {
            turns = 0;
        }
    }
}
