// The text of the function node: who signed this reading, is that the rental's meter, and into the table.
const encoder = global.get("encoder");
const pool = global.get("pool");
const meters = global.get("meters");
const signed = msg.payload;
const hash = encoder.hash(signed.reading);
const digest = global.get("keccak256")("0x1901" + global.get("separator").slice(2) + hash.slice(2));
const rental = signed.reading.rental_id;
let meter = meters.get(rental);
if (meter === undefined) {
  const found = await pool.query("SELECT meter FROM rental WHERE rental_id = $1", [rental]);
  if (found.rowCount === 0) throw new Error(`no rental ${rental}`);
  meter = found.rows[0].meter;
  meters.set(rental, meter);
}
if (global.get("recoverAddress")(digest, signed.signature).toLowerCase() !== meter) {
  throw new Error(`number ${signed.reading.seq} of ${rental} is not its meter's`);
}
await pool.query(
  "INSERT INTO nodered_reading (rental_id, seq, hash, signed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
  [rental, signed.reading.seq, hash, signed],
);
return null;
