// How an unfolded message is best laid out: columns of equal length as one table, units from field names, names of bits, JSON.
import type { ByteRange, ListNode, MessageNode, Node, Value } from "./unfold";
import type { FieldSpec } from "./schema";

/** Lists of a message that are as long as each other: row i of each is one station. */
export interface ColumnTable {
  columns: ListNode[];
  rows: number;
}

/** The lists of `message` that make up one table (at least two of one length), and all its other nodes. */
export function columnsOf(message: MessageNode): { table: ColumnTable | null; rest: Node[] } {
  const byLength = new Map<number, ListNode[]>();
  for (const node of message.nodes) {
    if (node.kind !== "list") continue;
    const same = byLength.get(node.values.length);
    if (same) same.push(node);
    else byLength.set(node.values.length, [node]);
  }
  let best: ColumnTable | null = null;
  for (const [rows, columns] of byLength) if (columns.length >= 2 && columns.length > (best?.columns.length ?? 0)) best = { rows, columns };
  const inTable = new Set<Node>(best?.columns);
  return { table: best, rest: message.nodes.filter((node) => !inTable.has(node)) };
}

/** Submessages as a table when all hold single values alone: fields that occur (by number), and per item the node of each. */
export function itemsTable(items: MessageNode[]): { fields: FieldSpec[]; cells: (Node | undefined)[][] } | null {
  const fields = new Map<number, FieldSpec>();
  for (const item of items)
    for (const node of item.nodes) {
      if (node.kind !== "value") return null;
      fields.set(node.field.number, node.field);
    }
  const sorted = [...fields.values()].sort((a, b) => a.number - b.number);
  const cells = items.map((item) => sorted.map((field) => item.nodes.find((node) => node.kind === "value" && node.field === field)));
  return sorted.length ? { fields: sorted, cells } : null;
}

const UNITS: [suffix: string, unit: string][] = [
  ["_mps3", "m/s³"],
  ["_mps2", "m/s²"],
  ["_radps", "rad/s"],
  ["_mps", "m/s"],
  ["_per_m", "1/m"],
  ["_m2", "m²"],
  ["_rad", "rad"],
  ["_dbm", "dBm"],
  ["_hz", "Hz"],
  ["_ns", "ns"],
  ["_us", "µs"],
  ["_ms", "ms"],
  ["_m", "m"],
  ["_s", "s"],
];

/** "speed_mps" -> ["speed", "m/s"]; a name without a known suffix has the unit "". */
export function nameAndUnit(name: string): [name: string, unit: string] {
  for (const [suffix, unit] of UNITS) if (name.endsWith(suffix) && name.length > suffix.length) return [name.slice(0, -suffix.length), unit];
  return [name, ""];
}

const FLAGS: [bit: number, name: string][] = [
  [1, "brake"],
  [2, "hard brake"],
  [4, "left"],
  [8, "right"],
  [16, "hazard"],
  [32, "doors open"],
  [64, "automated"],
];

/** Names of the bits set in BasicSafetyBatch.flags. */
export function flagNames(flags: number): string[] {
  const names = FLAGS.filter(([bit]) => flags & bit).map(([, name]) => name);
  const rest = flags & ~127;
  return rest ? [...names, `0x${(rest >>> 0).toString(16)}`] : names;
}

/** A value as text: enumeration names, nanoseconds as seconds, bit names; never more digits than say something. */
export function valueText(field: FieldSpec, value: Value): string {
  if (field.enumeration && typeof value === "number") return field.enumeration.names.get(value) ?? `${value} (not in ${field.enumeration.typeName})`;
  if (typeof value === "bigint") return field.name.endsWith("_ns") ? `${secondsText(value)} s` : value.toString();
  if (typeof value === "number") {
    if (field.name === "flags") return value === 0 ? "0" : `${value}: ${flagNames(value).join(", ")}`;
    return Number.isInteger(value) ? value.toString() : numberText(value);
  }
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "true" : "false";
  return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Nanoseconds as seconds, without trailing zeros. */
export function secondsText(ns: bigint): string {
  const sign = ns < 0n ? "-" : "";
  const absolute = ns < 0n ? -ns : ns;
  const fraction = (absolute % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${sign}${absolute / 1_000_000_000n}${fraction ? `.${fraction}` : ""}`;
}

/** At most six digits after the point; very small numbers as powers of ten. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-4) return value.toExponential(3);
  return String(Number(value.toFixed(size >= 1000 ? 3 : 6)));
}

/** The message as plain JSON: field names of the .proto file, 64-bit numbers as text, bytes as hex. */
export function asJson(message: MessageNode): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const node of message.nodes) {
    if (node.kind === "value") out[node.field.name] = plain(node.field, node.value);
    else if (node.kind === "list") out[node.field.name] = node.values.map((value) => plain(node.field, value));
    else if (node.kind === "messages") out[node.field.name] = node.items.map(asJson);
    else if (node.kind === "message" && node.field) out[node.field.name] = asJson(node);
  }
  return out;
}

function plain(field: FieldSpec, value: Value): unknown {
  if (field.enumeration && typeof value === "number") return field.enumeration.names.get(value) ?? value;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return value;
}

/** The innermost named place that holds byte `at`: path and range, for pointing at a byte. */
export function placeOf(message: MessageNode, at: number): { path: string; range: ByteRange } | null {
  for (const node of message.nodes) {
    if (!holds(node.range, at)) continue;
    if (node.kind === "value") return { path: node.field.name, range: node.range };
    if (node.kind === "unknown") return { path: `#${node.number}`, range: node.range };
    if (node.kind === "problem") return { path: "?", range: node.range };
    if (node.kind === "list") {
      const index = node.ranges.findIndex((range) => holds(range, at));
      return index < 0 ? { path: node.field.name, range: node.range } : { path: `${node.field.name}[${index}]`, range: node.ranges[index]! };
    }
    if (node.kind === "messages") {
      const index = node.items.findIndex((item) => holds(item.range, at));
      if (index < 0) continue; // another field lies between two items
      const inner = placeOf(node.items[index]!, at);
      const name = `${node.field.name}[${index}]`;
      return inner ? { path: `${name}.${inner.path}`, range: inner.range } : { path: name, range: node.items[index]!.range };
    }
    const inner = placeOf(node, at);
    const name = node.field?.name ?? "";
    return inner ? { path: `${name}.${inner.path}`, range: inner.range } : { path: name, range: node.range };
  }
  return null;
}

function holds(range: ByteRange, at: number): boolean {
  return at >= range[0] && at < range[1];
}
