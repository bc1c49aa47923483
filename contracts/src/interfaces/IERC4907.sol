// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice Rental role of ERC-721 tokens, as ERC-4907 says it. Its interface id is 0xad092b5c.
interface IERC4907 {
    /// @param expires Unix seconds.
    event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires);

    /// @notice Gives a token a user until `expires`. The owner's, or whom the owner approved.
    /// @param expires Unix seconds.
    function setUser(uint256 tokenId, address user, uint64 expires) external;

    /// @notice The token's user now; zero if it has none.
    function userOf(uint256 tokenId) external view returns (address);

    /// @notice The last Unix second of the user; zero if there is none.
    function userExpires(uint256 tokenId) external view returns (uint256);
}
