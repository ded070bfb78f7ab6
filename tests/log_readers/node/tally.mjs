// Messages by topic: how many, from when to when, and a digest of their bytes in the order they came.
import { createHash } from "node:crypto";

export class Tally {
  #topics = new Map();

  add(topic, message) {
    const row = this.#row(topic);
    row.messages += 1;
    if (row.first === undefined || message.logTime < row.first) row.first = message.logTime;
    if (row.last === undefined || message.logTime > row.last) row.last = message.logTime;
    row.hash.update(`${message.logTime} ${message.publishTime} ${message.sequence} ${message.data.byteLength}\n`);
    row.hash.update(message.data);
  }

  /** One more of something else that is counted by topic. */
  count(topic, what) {
    const row = this.#row(topic);
    row[what] = (row[what] ?? 0) + 1;
  }

  get messages() {
    let sum = 0;
    for (const row of this.#topics.values()) sum += row.messages;
    return sum;
  }

  result() {
    const out = {};
    for (const [topic, { hash, first, last, ...rest }] of this.#topics) {
      out[topic] = { ...rest, first: String(first), last: String(last), sha256: hash.digest("hex") };
    }
    return out;
  }

  #row(topic) {
    let row = this.#topics.get(topic);
    if (row === undefined) {
      row = { messages: 0, first: undefined, last: undefined, hash: createHash("sha256") };
      this.#topics.set(topic, row);
    }
    return row;
  }
}
