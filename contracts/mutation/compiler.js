// Keeps the compiler loaded. The folder with the sources is its argument. A line of standard input is {overrides, settings}, its answer a line of what the compiler says.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");

const ROOT = path.resolve(process.argv[2]);
const ENTRY = "src/RentalEscrow.sol";

// The compiler writes notes to stdout, where only answers belong.
console.log = console.error;
const solc = require(path.join(ROOT, "node_modules", "solc"));

function read(name, overrides) {
  if (name in overrides) return { contents: overrides[name] };
  const found = [ROOT, path.join(ROOT, "node_modules")].map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
  return found ? { contents: fs.readFileSync(found, "utf8") } : { error: `File not found: ${name}` };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { overrides, settings, entry = ENTRY } = JSON.parse(line);
  const input = { language: "Solidity", sources: { [entry]: { content: read(entry, overrides).contents } }, settings };
  process.stdout.write(solc.compile(JSON.stringify(input), { import: (name) => read(name, overrides) }) + "\n");
});
