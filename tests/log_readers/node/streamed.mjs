// A log, or its beginning, read from front to back as it would come over a network: no index, no summary needed.
import { McapStreamReader } from "@mcap/core";

import { Decoder } from "./decoder.mjs";
import { Tally } from "./tally.mjs";

const PIECE = 64 * 1024; // bytes handed over at once; the records do not end where the pieces do

/** What the stream reader gets of the first `end` bytes; it checks the CRC of every chunk. */
export async function streamed(file, end, decompressHandlers) {
  const reader = new McapStreamReader({ decompressHandlers, includeChunks: true, validateCrcs: true });
  const tally = new Tally();
  const topics = new Map();
  const schemas = new Map();
  const piece = new Uint8Array(PIECE);
  let chunks = 0;
  let unchecked = 0;
  for (let at = 0; at < end; ) {
    const { bytesRead } = await file.read(piece, 0, Math.min(PIECE, end - at), at);
    if (bytesRead === 0) throw new Error(`ends before byte ${end}`);
    at += bytesRead;
    reader.append(piece.subarray(0, bytesRead));
    for (let record; (record = reader.nextRecord()); ) {
      if (record.type === "Chunk") {
        chunks += 1;
        if (record.uncompressedCrc === 0) unchecked += 1;
      } else if (record.type === "Schema") {
        if (!schemas.has(record.id)) schemas.set(record.id, new Decoder(record));
      } else if (record.type === "Channel") {
        if (!schemas.has(record.schemaId)) throw new Error(`topic ${record.topic} comes before its schema`);
        topics.set(record.id, record.topic);
      } else if (record.type === "Message") {
        tally.add(topics.get(record.channelId), record);
      }
    }
  }
  return {
    whole: reader.done(),
    left: reader.bytesRemaining(),
    chunks,
    unchecked,
    messages: tally.messages,
    topics: tally.result(),
  };
}
