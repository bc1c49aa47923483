module.exports = {
  extends: "solhint:recommended",
  rules: {
    "compiler-version": ["error", "0.8.34"],
    "func-visibility": ["error", { ignoreConstructors: true }],
    "gas-custom-errors": "error",
    "max-line-length": ["error", 130],
    "no-global-import": "error",
    // Deadlines are what the escrow is about; a validator's few seconds do not matter against hours.
    "not-rely-on-time": "off",
    // Capped return data cannot be had otherwise.
    "no-inline-assembly": "off",
    // Members of signed types keep the names they are signed under (snake_case).
    "var-name-mixedcase": "off",
    // Windows are inclusive at their limit, as the specification says.
    "gas-strict-inequalities": "off",
    // The order of members is the signed type's.
    "gas-struct-packing": "off",
    "gas-small-strings": "off",
    // Amounts are read from an event, not searched for.
    "gas-indexed-events": "off",
    // NatSpec stands once, on the interface.
    "use-natspec": "off",
    // An aggregate of interfaces and a caught permit are empty on purpose.
    "no-empty-blocks": "off",
  },
};
