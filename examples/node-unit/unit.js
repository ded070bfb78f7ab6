// A unit's side of the conversation with an icv simulation: copy this file, write an `onTick`, call `serve`.
//
//   const { serve } = require('./unit');
//   const outcome = await serve({ name: 'rsu/J1', address: 'tcp://127.0.0.1:5555', protos: 'path/to/*.proto files',
//     onTick: (tick) => ({ send: [{ topic: 'v2x/spat', message: { t_ns: tick.t_ns, ... } }] }) });
//
// The five steps (docs/messages.md, "Over a wire"): say Hello, hear Welcome or Refused, hear Tick, send Answer, until End.
// Field names are those of the .proto files. 64-bit integers are `Long` objects, because a JavaScript number is exact to 2^53
// only: hand them on as they are, or take .toNumber() where 104 days are enough.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const protobuf = require('protobufjs');
const { Dealer } = require('zeromq');

const PROTOCOL = 1; // version of the conversation
const MAX_FRAME_BYTES = 8 * 1024 * 1024;
const SLICE_MS = 100; // how long one receive waits before we look whether the simulation is still there

// What travels on which topic.
const TOPICS = {
  'v2x/bsm': 'icv.v1.BasicSafetyBatch',
  'v2x/spat': 'icv.v1.Spat',
  'v2x/map': 'icv.v1.Map',
  'v2x/rsm': 'icv.v1.RoadsideSafety',
  'v2x/ssm': 'icv.v1.SensorSharing',
  'v2x/vir': 'icv.v1.VehicleIntention',
  'v2x/rsc': 'icv.v1.RoadsideCoordination',
};

/** The unit cannot take part, or no longer: refused, nobody there, gone away. */
class UnitError extends Error {}

/** Messages to bytes and back, by the schemas in `folder`. */
class Wire {
  constructor(folder) {
    const root = new protobuf.Root();
    // Schemas import each other as protocols/v1/NAME.proto; here they lie side by side, wherever that is.
    root.resolvePath = (_origin, target) => path.join(folder, path.basename(target));
    const files = ['unit', 'bsm', 'spat', 'map', 'rsm', 'ssm', 'priority'];
    root.loadSync(files.map((name) => `${name}.proto`), { keepCase: true });
    this.fromUnit = root.lookupType('icv.v1.FromUnit');
    this.toUnit = root.lookupType('icv.v1.ToUnit');
    this.types = new Map(Object.entries(TOPICS).map(([topic, name]) => [topic, root.lookupType(name)]));
  }

  /** Bytes of a message; an Error says which field does not fit. */
  encode(type, message) {
    const wrong = type.verify(message);
    if (wrong) throw new Error(`${type.name}: ${wrong}`);
    return Buffer.from(type.encode(message).finish());
  }

  /** A FromUnit frame: `body` is {hello}, {answer} or {failed}. */
  frame(body) {
    return this.encode(this.fromUnit, body);
  }

  /** The frame that answers `tick` with what `onTick` gave. */
  answer(tick, { send = [], ...rest }) {
    const packed = send.map(({ topic, message }) => {
      const type = this.types.get(topic);
      if (!type) throw new Error(`topic ${topic} does not exist; topics are ${Object.keys(TOPICS).join(', ')}`);
      return { topic, payload: this.encode(type, message) };
    });
    return this.frame({ answer: { ...rest, send: packed, tick: tick.tick } });
  }

  /** What the simulation says: {welcome}, {refused}, {tick}, {reset} or {end}; all are undefined for a body of a later version. */
  read(data) {
    return this.toUnit.decode(data);
  }

  /** The message in an Envelope that was heard (`tick.message`). */
  heard(envelope) {
    const type = this.types.get(envelope.topic);
    if (!type) throw new Error(`heard on ${envelope.topic}, which this unit does not know`);
    return type.decode(envelope.payload);
  }
}

/**
 * Take part as `name` until the run ends; resolves to its outcome ("pass", "fail", ...).
 *
 * `protos`: folder of the .proto files. `topics`: those the unit may send on. `keys`: { server, public, secret } (see `readKeys`),
 * needed for addresses beyond this machine. `onWelcome(welcome, wire)` is called at the Welcome and at every Reset: begin anew; `onTick(tick, wire)` gives what to answer:
 * { send: [{ topic, message }], vehicle, signals, plan, note: [{ name, value }] }, all optional; both may be asynchronous.
 * Rejects with a UnitError when refused, when nobody answers within `joinSeconds`, or when the simulation goes away. What the
 * callbacks throw is told to the simulation, then thrown.
 */
async function serve({ name, address, protos, software = '', topics = [], keys, joinSeconds = 60, onWelcome, onTick }) {
  const wire = new Wire(protos);
  const socket = new Dealer({
    linger: 500, // last words get half a second
    receiveTimeout: SLICE_MS,
    maxMessageSize: MAX_FRAME_BYTES,
    heartbeatInterval: 2_000, // notices a cable that was pulled
    heartbeatTimeout: 30_000,
    ipv6: address.includes('['),
    ...(keys && { curveServerKey: keys.server, curvePublicKey: keys.public, curveSecretKey: keys.secret }),
  });
  let isConnected = true; // until we hear otherwise; before that ZeroMQ keeps trying
  socket.events.on('disconnect', () => { isConnected = false; });
  try {
    try {
      socket.connect(address);
    } catch (error) {
      throw new UnitError(`${address}: ${error.message}`);
    }
    await socket.send(wire.frame({ hello: { protocol: PROTOCOL, unit: name, software, topic: topics } }));
    const giveUpAt = Date.now() + joinSeconds * 1000;
    let isWelcome = false;
    let first = null; // kept: after a Reset the unit starts over from its Welcome
    for (;;) {
      const data = await receive(socket);
      if (data === null) {
        if (isWelcome && !isConnected) throw new UnitError(`the simulation at ${address} has gone away`);
        if (!isWelcome && Date.now() > giveUpAt) {
          throw new UnitError(`no simulation answered at ${address} within ${joinSeconds} s. Is \`icv run --bus zmq\` ` +
            'listening there, and does it know our key?');
        }
        continue;
      }
      const { welcome, refused, tick, end, reset } = wire.read(data);
      if (refused) throw new UnitError(`refused: ${refused.reason}`);
      if (end) return end.outcome;
      if (tick && !isWelcome) throw new UnitError(`${address} sent a tick before a welcome`);
      try {
        if (welcome || reset) {
          isWelcome = true;
          first = welcome ?? first;
          await onWelcome?.(first, wire);
        } else if (tick) {
          await socket.send(wire.answer(tick, (await onTick(tick, wire)) ?? {}));
        }
      } catch (error) {
        // Said plainly now instead of found out by a time limit.
        await socket.send(wire.frame({ failed: { reason: String(error).slice(0, 500) } }));
        throw error;
      }
    }
  } finally {
    socket.close();
  }
}

/** One message of one frame, or null when none came within SLICE_MS. */
async function receive(socket) {
  try {
    const frames = await socket.receive();
    if (frames.length !== 1) throw new UnitError(`a message of ${frames.length} frames; expected one`);
    return frames[0];
  } catch (error) {
    if (error.code === 'EAGAIN') return null;
    throw error;
  }
}

/** Keys of `name` from a folder that `icv keys new` wrote: ours, and the simulation's public one. */
function readKeys(folder, name) {
  const value = (file, which) => {
    const found = new RegExp(`^\\s*${which}-key\\s*=\\s*"(.{40})"`, 'm').exec(fs.readFileSync(path.join(folder, file), 'utf8'));
    if (!found) throw new Error(`${path.join(folder, file)}: holds no ${which} key`);
    return found[1];
  };
  return {
    server: value('icv.key', 'public'),
    public: value(`${name}.key_secret`, 'public'),
    secret: value(`${name}.key_secret`, 'secret'),
  };
}

module.exports = { serve, readKeys, Wire, UnitError };
