// A unit in Node.js that is honest until tick AT_TICK, then does what MISDEED says.
//   node misbehave.js FOLDER_OF_UNIT_JS ADDRESS PROTOS MISDEED AT_TICK
'use strict';

const path = require('node:path');
const [folder, address, protos, misdeed, atTick] = process.argv.slice(2);
const { serve, Wire } = require(path.join(folder, 'unit.js'));

const honest = Wire.prototype.answer;
Wire.prototype.answer = function answer(tick, given) {
  const isTime = misdeed === 'wrong tick' && tick.tick.toNumber() === Number(atTick);
  return honest.call(this, isTime ? { tick: tick.tick.add(1) } : tick, given);
};

function onTick(tick) {
  if (tick.tick.toNumber() < Number(atTick)) return {};
  if (misdeed === 'throws') throw new RangeError('gain / 0');
  if (misdeed === 'strange topic') return { send: [{ topic: 'v2x/cam', message: {} }] };
  if (misdeed === 'wrong type') return { send: [{ topic: 'v2x/bsm', message: { t_ns: 0, x_m: ['east'] } }] };
  if (misdeed === 'not allowed') return { send: [{ topic: 'v2x/spat', message: { t_ns: 0, node_id: 1 } }] };
  return {};
}

serve({ name: 'fleet', address, protos, onTick }).then(
  () => { process.exitCode = 0; },
  (error) => { console.error(error.message); process.exitCode = 3; },
);
