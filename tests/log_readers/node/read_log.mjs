// What a log holds for the readers that Foxglove and Lichtblick are built on, as one JSON object on standard output.
//
//   node read_log.mjs LOG [--scenes N] [--at NS,NS,...]    whole log: indexed reader, stream reader, every message decoded
//   node read_log.mjs LOG --cut BYTES,BYTES,...            beginnings of the log: what the stream reader still gets
//
// `--scenes`: so many messages of each `foxglove.*` topic are printed, evenly spread. `--at`: what a viewer shows after a seek there.
// Exit status 1 and one line on standard error where a reader refuses the log. Times are nanoseconds, as strings.
import { open } from "node:fs/promises";
import { parseArgs } from "node:util";

import { McapIndexedReader } from "@mcap/core";
import mcapNode from "@mcap/nodejs";
import { loadDecompressHandlers } from "@mcap/support";

import { Decoder } from "./decoder.mjs";
import { differences, lacking } from "./definitions.mjs";
import { streamed } from "./streamed.mjs";
import { Tally } from "./tally.mjs";

/** Everything by the index: the messages in order, backwards too, and what a viewer asks for when its user seeks. */
async function indexed(file, decompressHandlers, moments, scenes) {
  const reader = await McapIndexedReader.Initialize({
    readable: new mcapNode.FileHandleReadable(file),
    decompressHandlers,
  });
  const decoders = new Map();
  for (const schema of reader.schemasById.values()) decoders.set(schema.id, new Decoder(schema));
  const decoderOf = (channelId) => decoders.get(reader.channelsById.get(channelId).schemaId);
  const topicOf = (message) => reader.channelsById.get(message.channelId).topic;

  const tally = new Tally();
  const shown = new Shown(scenes);
  const gaps = {};
  for await (const message of reader.readMessages({ validateCrcs: true })) {
    const topic = topicOf(message);
    tally.add(topic, message);
    const decoder = decoderOf(message.channelId);
    const decoded = decoder.decode(message.data);
    if (!decoder.keepsAll(message.data)) tally.count(topic, "changed");
    if (topic.startsWith("foxglove/")) {
      for (const path of lacking(decoder.name, decoded)) gaps[`${topic}: ${path}`] ??= String(message.logTime);
      shown.add(topic, message.logTime, decoded);
    }
  }
  const back = new Tally();
  let turned = 0;
  let before = reader.statistics.messageEndTime;
  for await (const message of reader.readMessages({ validateCrcs: true, reverse: true })) {
    if (message.logTime > before) turned += 1;
    before = message.logTime;
    back.add(topicOf(message), message);
  }

  const topics = [...reader.channelsById.values()].map((channel) => channel.topic).filter((t) => t.startsWith("foxglove/"));
  const seeks = {};
  for (const moment of moments) {
    const found = {};
    for (const topic of topics) {
      for await (const message of reader.readMessages({ topics: [topic], endTime: moment, reverse: true })) {
        found[topic] = String(message.logTime);
        break;
      }
    }
    let after = 0;
    for await (const _ of reader.readMessages({ topics, startTime: moment })) after += 1;
    seeks[String(moment)] = { last: found, after };
  }
  const used = [...decoders.values()].filter((decoder) => decoder.name.startsWith("foxglove."));
  return {
    profile: reader.header.profile,
    library: reader.header.library,
    summaryCrc: reader.footer.summaryCrc,
    chunks: reader.chunkIndexes.length,
    compression: [...new Set(reader.chunkIndexes.map((chunk) => chunk.compression))],
    statistics: {
      messages: Number(reader.statistics.messageCount),
      first: String(reader.statistics.messageStartTime),
      last: String(reader.statistics.messageEndTime),
    },
    schemas: Object.fromEntries([...reader.channelsById.values()].map((c) => [c.topic, decoderOf(c.id).name])),
    encodings: [...new Set([...reader.channelsById.values()].map((channel) => channel.messageEncoding))],
    topics: tally.result(),
    backwards: { messages: back.messages, turned, topics: back.result() },
    seeks,
    differences: used.flatMap((decoder) => differences(decoder.type)),
    lacking: gaps,
    shown: shown.topics,
  };
}

/** Decoded `foxglove.*` messages: at most `most` a topic, evenly spread from the first on; of a scene, each entity's boxes. */
class Shown {
  #most;
  #step = new Map();
  topics = {};

  constructor(most) {
    this.#most = most;
  }

  add(topic, logTime, decoded) {
    const rows = (this.topics[topic] ??= []);
    const seen = this.#step.get(topic) ?? { every: 1, count: 0 };
    this.#step.set(topic, seen);
    if (seen.count++ % seen.every !== 0) return;
    rows.push({ logTime: String(logTime), ...brief(decoded) });
    if (rows.length > this.#most) {
      seen.every *= 2;
      this.topics[topic] = rows.filter((_, k) => k % 2 === 0);
    }
  }
}

function brief(decoded) {
  if (!Array.isArray(decoded.entities)) return decoded;
  return {
    entities: decoded.entities.map((entity) => ({
      id: entity.id,
      frame: entity.frame_id,
      timestamp: entity.timestamp,
      lifetime: entity.lifetime,
      boxes: entity.cubes.map(({ pose, size }) => ({ position: pose.position, orientation: pose.orientation, size })),
      lines: entity.lines.length,
      points: entity.lines.reduce((sum, line) => sum + line.points.length, 0),
    })),
  };
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { cut: { type: "string" }, at: { type: "string" }, scenes: { type: "string" } },
});
const numbers = (text) => (text ? text.split(",") : []);
let file;
try {
  if (positionals.length !== 1) throw new Error("expected one log; node read_log.mjs LOG");
  file = await open(positionals[0], "r");
  const decompressHandlers = await loadDecompressHandlers();
  const size = (await file.stat()).size;
  let result;
  if (values.cut !== undefined) {
    result = [];
    for (const end of numbers(values.cut).map(Number)) {
      const part = await streamed(file, end, decompressHandlers);
      result.push({ end, ...part, topics: undefined });
    }
  } else {
    result = {
      indexed: await indexed(file, decompressHandlers, numbers(values.at).map(BigInt), Number(values.scenes ?? 5)),
      streamed: await streamed(file, size, decompressHandlers),
    };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  process.stderr.write(`${positionals[0] ?? "read_log"}: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  // A file left to the garbage collector is a warning of Node's among the complaints, on some runs.
  await file?.close();
}
