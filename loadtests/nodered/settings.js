// Node-RED without its editor, with what the function node needs: ethers to verify, pg to insert.
const { TypedDataEncoder, recoverAddress } = require("ethers");
const { Pool } = require("pg");

const { types, domain } = JSON.parse(process.env.NODERED_TYPED_DATA);
delete types.EIP712Domain;
const encoder = TypedDataEncoder.from(types);

module.exports = {
  uiHost: "127.0.0.1",
  uiPort: Number(process.env.NODERED_PORT),
  httpAdminRoot: false,
  flowFile: process.env.NODERED_FLOWS,
  credentialSecret: false,
  telemetry: { enabled: false, updateNotification: false },
  functionGlobalContext: {
    separator: TypedDataEncoder.hashDomain(domain),
    encoder,
    keccak256: require("ethers").keccak256,
    recoverAddress,
    pool: new Pool({ connectionString: process.env.NODERED_POSTGRES_URL, max: 4 }),
    meters: new Map(),
  },
  logging: { console: { level: "info" } },
};
