// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {
    ERC7913WebAuthnVerifier
} from "@openzeppelin/contracts/utils/cryptography/verifiers/ERC7913WebAuthnVerifier.sol";

/// @title PasskeyVerifier
/// @notice Lets a WebAuthn passkey be a renter, an owner or an owner's agent, and hold a balance: the signer is this contract's
/// address (20 bytes) followed by the passkey's P-256 point `qx|qy` (64 bytes). It keeps nothing and calls nothing but precompiles,
/// so its answer to a question never changes.
///
/// `verify(key, hash, signature)` answers its own selector, or 0xffffffff. `signature` is the ABI encoding of OpenZeppelin's
/// `WebAuthn.WebAuthnAuth` without an outer offset: r, s, challengeIndex, typeIndex, authenticatorData, clientDataJSON.
///
/// Checked:
/// - `"challenge":"…"` stands at challengeIndex of clientDataJSON, to its closing quote, and is the base64url of `hash`, unpadded;
/// - `"type":"webauthn.get"` stands at typeIndex: neither a registration nor a payment;
/// - authenticatorData has at least 37 bytes, and its flags say that the user was present (UP) and verified (UV);
/// - a credential that is backed up (BS) is one that can be (BE). Both kinds sign: synced passkeys too;
/// - `r|s` is the key's signature of sha256(authenticatorData | sha256(clientDataJSON)), with the lower s only: by the precompile at
///   0x100 (EIP-7951; about 15,000 gas in all), or in Solidity where a chain has none (about 265,000).
///
/// Not checked: origin and rpIdHash (browser and authenticator keep a passkey to its site), the counter (it would have to be
/// stored), extensions, attestation, and that clientDataJSON is JSON: whoever builds it is the party's own client.
/// @dev Bytes of the encoding that nothing refers to may change without changing the answer, so nothing may be keyed on them.
contract PasskeyVerifier is ERC7913WebAuthnVerifier {}
