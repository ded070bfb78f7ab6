// The unit `fleet` of an icv simulation in Node.js: at 10 Hz, the BSM of all background vehicles that carry an on-board unit.
//
//   node fleet.js --connect tcp://127.0.0.1:5555 [--protos DIR] [--keys DIR [--key NAME]] [--name fleet] [--join SECONDS]
//
// Exit codes: 0 the run has ended, whatever its outcome; 2 wrong arguments; 3 refused, nobody there, gone away, or a fault here.
'use strict';

const path = require('node:path');
const { parseArgs } = require('node:util');
const { serve, readKeys } = require('./unit');

const USAGE = 'node fleet.js --connect ADDRESS [--protos DIR] [--keys DIR [--key NAME]] [--name fleet] [--join SECONDS]';

/** What the vehicles know of themselves becomes what they say: one batch, row for row. */
function onTick(tick) {
  const fleet = tick.readings?.fleet;
  if (!fleet || fleet.station_id.length === 0) return {}; // not due, or nobody is equipped: an empty answer is an answer
  const batch = {
    t_ns: fleet.t_ns, // when it was measured, not when it is sent
    station_id: fleet.station_id,
    kind: fleet.kind,
    x_m: fleet.x_m,
    y_m: fleet.y_m,
    z_m: fleet.z_m,
    yaw_rad: fleet.yaw_rad,
    speed_mps: fleet.speed_mps,
    accel_mps2: fleet.accel_mps2,
    yaw_rate_radps: fleet.yaw_rate_radps,
    length_m: fleet.length_m,
    width_m: fleet.width_m,
    rear_overhang_m: fleet.rear_overhang_m,
    flags: fleet.flags,
  };
  return { send: [{ topic: 'v2x/bsm', message: batch }] };
}

async function main() {
  let options;
  try {
    const text = { type: 'string' };
    const fields = { connect: text, protos: text, keys: text, key: text, name: text, join: text };
    options = parseArgs({ options: fields }).values;
    if (!options.connect) throw new Error('--connect is missing');
    if (options.join !== undefined && !(Number(options.join) > 0)) throw new Error(`--join ${options.join}: expected seconds`);
  } catch (error) {
    console.error(`${error.message}\nusage: ${USAGE}`);
    return 2;
  }
  const name = options.name ?? 'fleet';
  try {
    const outcome = await serve({
      name,
      address: options.connect,
      protos: options.protos ?? path.join(__dirname, '../../protocols/v1'),
      keys: options.keys && readKeys(options.keys, options.key ?? name.replaceAll('/', '-')),
      software: `node-unit 0.1.0, Node.js ${process.version}`,
      topics: ['v2x/bsm'],
      joinSeconds: Number(options.join ?? 60),
      onTick,
    });
    console.log(`${name}: the run has ended: ${outcome}`);
    return 0;
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    return 3;
  }
}

main().then((code) => { process.exitCode = code; });
