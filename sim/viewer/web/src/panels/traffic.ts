// The messages of a run: which were sent, and what became of each row of each at every receiver.
// Blocks of messages are kept once read (about 30 bytes a message); fates come block by block from the run's own cache.
import type { Columns, Run } from "../model";
import { lastAtOrBefore } from "./find";

export interface MessageAt {
  block: number;
  row: number;
}

export interface MessageLine {
  t: number; // ms
  topic: number;
  sender: number;
  seq: number;
  size: number; // bytes
  rows: number;
  heard: number;
  lost: number;
}

export const DELIVERED = 1;

const cache = new WeakMap<Run, Traffic>();

export class Traffic {
  readonly blocks: (Columns | null)[] = []; // null: none, or not read yet
  private readonly reads = new Map<number, Promise<Columns | null>>();
  private readonly masks = new Map<string, Promise<Uint16Array>>();

  private constructor(readonly run: Run) {}

  static of(run: Run): Traffic {
    let traffic = cache.get(run);
    if (!traffic) cache.set(run, (traffic = new Traffic(run)));
    return traffic;
  }

  get receivers(): number {
    return this.run.meta.receivers.length;
  }

  /** Messages of `block`; null when the run has none there. */
  read(block: number): Promise<Columns | null> {
    const before = this.reads.get(block);
    if (before) return before;
    const read = this.run.block("messages", block).then((columns) => {
      this.blocks[block] = columns;
      return columns;
    });
    this.reads.set(block, read);
    read.catch(() => this.reads.delete(block)); // may work the next time
    return read;
  }

  /** A run in progress has grown: its last block is read again when next asked for. */
  forgetLast(): void {
    const last = Math.max(-1, ...this.reads.keys());
    this.reads.delete(last);
    for (const key of this.masks.keys()) if (key.startsWith(`${last}/`)) this.masks.delete(key);
  }

  line(at: MessageAt): MessageLine | null {
    const columns = this.blocks[at.block];
    if (!columns || at.row >= columns.t!.length) return null;
    const value = (name: string): number => columns[name]![at.row]!;
    return {
      t: value("t"),
      topic: value("topic"),
      sender: value("sender"),
      seq: value("seq"),
      size: value("size"),
      rows: value("rows"),
      heard: value("heard"),
      lost: value("lost"),
    };
  }

  /** Fates and latencies of one message as (rows, receivers), row-major; null where the run has none. */
  async fates(at: MessageAt): Promise<FateMatrix | null> {
    const [columns, fates] = await Promise.all([this.read(at.block), this.run.block("fates", at.block)]);
    if (!columns || !fates) return null;
    return fateMatrix(fates, columns.fate0![at.row]!, columns.rows![at.row]!, this.receivers);
  }

  /** For each message of `block` the set of fates (bit = fate) that its rows met at `receiver` (null: at any). */
  fateMasks(block: number, receiver: number | null): Promise<Uint16Array> {
    const key = `${block}/${receiver ?? ""}`;
    let masks = this.masks.get(key);
    if (!masks) {
      masks = Promise.all([this.read(block), this.run.block("fates", block)]).then(([columns, fates]) =>
        columns && fates ? fateMasks(columns, fates, this.receivers, receiver) : new Uint16Array(columns?.t!.length ?? 0),
      );
      this.masks.set(key, masks);
      masks.catch(() => this.masks.delete(key));
    }
    return masks;
  }
}

export interface FateMatrix {
  rows: number;
  receivers: number;
  fate: Uint8Array; // (rows, receivers)
  latencyUs: Columns[string];
}

/** The part of a block's fates that belongs to one message, whose first entry is `first`. */
export function fateMatrix(fates: Columns, first: number, rows: number, receivers: number): FateMatrix | null {
  const end = first + rows * receivers;
  if (first < 0 || end > fates.fate!.length) return null;
  return {
    rows,
    receivers,
    fate: fates.fate!.slice(first, end) as Uint8Array,
    latencyUs: fates.latency_us?.slice(first, end) ?? new Uint32Array(end - first),
  };
}

export interface ReceiverSummary {
  receiver: number;
  isSender: boolean; // every entry is unspecified
  counts: Map<number, number>; // fate -> rows
  heard: number;
  lost: number;
  minUs: number;
  maxUs: number;
}

/** What became of a message at each receiver. */
export function byReceiver(matrix: FateMatrix): ReceiverSummary[] {
  const out: ReceiverSummary[] = [];
  for (let receiver = 0; receiver < matrix.receivers; receiver++) {
    const summary: ReceiverSummary = { receiver, isSender: true, counts: new Map(), heard: 0, lost: 0, minUs: Infinity, maxUs: 0 };
    for (let row = 0; row < matrix.rows; row++) {
      const index = row * matrix.receivers + receiver;
      const fate = matrix.fate[index]!;
      summary.counts.set(fate, (summary.counts.get(fate) ?? 0) + 1);
      if (fate === 0) continue;
      summary.isSender = false;
      if (fate === DELIVERED) {
        summary.heard++;
        summary.minUs = Math.min(summary.minUs, matrix.latencyUs[index]!);
        summary.maxUs = Math.max(summary.maxUs, matrix.latencyUs[index]!);
      } else summary.lost++;
    }
    out.push(summary);
  }
  return out;
}

/** Per message the set of fates at `receiver`, as bits. */
export function fateMasks(messages: Columns, fates: Columns, receivers: number, receiver: number | null): Uint16Array {
  const first = messages.fate0!;
  const rows = messages.rows!;
  const fate = fates.fate!;
  const masks = new Uint16Array(first.length);
  for (let message = 0; message < masks.length; message++) {
    const begin = first[message]!;
    const end = Math.min(begin + rows[message]! * receivers, fate.length);
    let mask = 0;
    if (begin >= 0) {
      const step = receiver === null ? 1 : receivers;
      for (let index = begin + (receiver ?? 0); index < end; index += step) mask |= 1 << fate[index]!;
    }
    masks[message] = mask;
  }
  return masks;
}

export interface Filter {
  topic: number | null;
  sender: number | null;
  receiver: number | null;
  outcome: "any" | "heard" | "lost" | number; // a number: lost for this reason
  text: string;
}

export const EVERYTHING: Filter = { topic: null, sender: null, receiver: null, outcome: "any", text: "" };

const LOST_BITS = 0xffff & ~0b11;

/** Whether the filter asks for fates, not only for the sums that messages carry. */
export function needsFates(filter: Filter): boolean {
  return filter.receiver !== null || typeof filter.outcome === "number";
}

/** Rows of one block that pass, in order of time. `masks` only where `needsFates`. */
export function matching(messages: Columns, filter: Filter, masks: Uint16Array | null, topics: string[], senders: string[]): Uint32Array {
  const count = messages.t!.length;
  const out = new Uint32Array(count);
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => textTest(word, topics, senders));
  const bits =
    typeof filter.outcome === "number" ? 1 << filter.outcome : filter.outcome === "lost" ? LOST_BITS : filter.outcome === "heard" ? 1 << DELIVERED : ~1;
  const sums = masks ? null : filter.outcome === "heard" ? messages.heard! : filter.outcome === "lost" ? messages.lost! : null;
  const { topic, sender, seq, size, rows } = messages as Record<string, Columns[string]>;
  let found = 0;
  for (let row = 0; row < count; row++) {
    if (filter.topic !== null && topic![row] !== filter.topic) continue;
    if (filter.sender !== null && sender![row] !== filter.sender) continue;
    if (masks && !(masks[row]! & bits)) continue;
    if (sums && !sums[row]) continue;
    if (words.length && !words.every((test) => test(topic![row]!, sender![row]!, seq![row]!, size![row]!, rows![row]!))) continue;
    out[found++] = row;
  }
  return out.slice(0, found);
}

type WordTest = (topic: number, sender: number, seq: number, size: number, rows: number) => boolean;

/** One word of a search: part of a topic's or sender's name, a sequence number, or a comparison as in `size>500`. */
function textTest(word: string, topics: string[], senders: string[]): WordTest {
  const compare = /^(seq|size|rows)(>=|<=|>|<|=)(\d+)$/.exec(word);
  if (compare) {
    const limit = Number(compare[3]);
    const test = {
      ">": (value: number) => value > limit,
      "<": (value: number) => value < limit,
      ">=": (value: number) => value >= limit,
      "<=": (value: number) => value <= limit,
      "=": (value: number) => value === limit,
    }[compare[2] as ">" | "<" | ">=" | "<=" | "="];
    if (compare[1] === "seq") return (_topic, _sender, seq) => test(seq);
    if (compare[1] === "size") return (_topic, _sender, _seq, size) => test(size);
    return (_topic, _sender, _seq, _size, rows) => test(rows);
  }
  const number = /^#?(\d+)$/.exec(word);
  const topicHit = topics.map((name) => name.toLowerCase().includes(word));
  const senderHit = senders.map((name) => name.toLowerCase().includes(word));
  const wanted = number ? Number(number[1]) : -1;
  return (topic, sender, seq) => topicHit[topic]! || senderHit[sender]! || seq === wanted;
}

/** Found rows of all blocks as one list. */
export class Found {
  private blocks: { block: number; rows: Uint32Array; t: Columns[string]; start: number }[] = [];
  private starts: number[] = [];
  length = 0;

  /** `parts`: matches per block; null where not searched yet. */
  set(parts: (Uint32Array | null)[], traffic: Traffic): void {
    this.blocks = [];
    this.length = 0;
    parts.forEach((rows, block) => {
      const columns = traffic.blocks[block];
      if (!rows || !columns || !rows.length) return;
      this.blocks.push({ block, rows, t: columns.t!, start: this.length });
      this.length += rows.length;
    });
    this.starts = this.blocks.map((each) => each.start);
  }

  at(index: number): MessageAt | null {
    const part = this.blocks[lastAtOrBefore(this.starts, index)];
    return part && index - part.start < part.rows.length ? { block: part.block, row: part.rows[index - part.start]! } : null;
  }

  /** Index of `at` in the list, -1 when it is filtered out. */
  indexOf(at: MessageAt): number {
    const part = this.blocks.find((each) => each.block === at.block);
    if (!part) return -1;
    const index = lastAtOrBefore(part.rows, at.row);
    return index >= 0 && part.rows[index] === at.row ? part.start + index : -1;
  }

  /** Index of the last message sent at or before `ms`, -1 when there is none. */
  lastBefore(ms: number): number {
    for (let i = this.blocks.length - 1; i >= 0; i--) {
      const part = this.blocks[i]!;
      if (part.t[part.rows[0]!]! > ms) continue;
      let low = 0;
      let high = part.rows.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (part.t[part.rows[middle]!]! <= ms) low = middle + 1;
        else high = middle;
      }
      return part.start + low - 1;
    }
    return -1;
  }
}
