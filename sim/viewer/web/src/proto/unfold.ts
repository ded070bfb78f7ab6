// A message's bytes as a tree of named values, each with the range of bytes it came from.
// Lists of numbers, packed or not, become one node with a range per value. What the schema does not know is kept as unknown.
import { ScalarType, type FieldSpec, type MessageSpec } from "./schema";
import { readField, readVarint, unzigzag, WireError, WireType, type WireField } from "./wire";

export type Value = number | bigint | boolean | string | Uint8Array;
/** [start, end) in the message's bytes. */
export type ByteRange = [start: number, end: number];

export interface ValueNode {
  kind: "value";
  field: FieldSpec;
  value: Value;
  range: ByteRange; // with its tag
}
export interface ListNode {
  kind: "list"; // of numbers, texts or enumeration values
  field: FieldSpec;
  values: Value[];
  ranges: ByteRange[]; // of each value, without tag
  range: ByteRange;
}
export interface MessageNode {
  kind: "message";
  field: FieldSpec | null; // null: the whole message
  type: MessageSpec;
  nodes: Node[];
  range: ByteRange;
}
export interface MessagesNode {
  kind: "messages";
  field: FieldSpec;
  items: MessageNode[];
  range: ByteRange;
}
export interface UnknownNode {
  kind: "unknown";
  number: number;
  wire: WireType;
  range: ByteRange;
}
export interface ProblemNode {
  kind: "problem"; // the bytes stop making sense here
  sentence: string;
  range: ByteRange;
}
export type Node = ValueNode | ListNode | MessageNode | MessagesNode | UnknownNode | ProblemNode;

const MAX_DEPTH = 32;

/** The message in `bytes`; never throws: what cannot be read is a node of kind "problem". */
export function unfold(type: MessageSpec, bytes: Uint8Array): MessageNode {
  return readMessage(type, bytes, null, [0, bytes.length], 0, bytes.length, 0);
}

function readMessage(
  type: MessageSpec,
  bytes: Uint8Array,
  field: FieldSpec | null,
  range: ByteRange,
  start: number,
  end: number,
  depth: number,
): MessageNode {
  const nodes: Node[] = [];
  const byField = new Map<number, Node>();
  let at = start;
  while (at < end) {
    let wire: WireField;
    try {
      wire = readField(bytes, at, end);
      place(type, bytes, wire, nodes, byField, depth);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      nodes.push({ kind: "problem", sentence: error.message, range: [at, end] });
      break;
    }
    at = wire.end;
  }
  nodes.sort((a, b) => numberOf(a) - numberOf(b));
  return { kind: "message", field, type, nodes, range };
}

function numberOf(node: Node): number {
  if (node.kind === "problem") return Number.MAX_SAFE_INTEGER;
  return node.kind === "unknown" ? node.number : (node.field?.number ?? 0);
}

function place(type: MessageSpec, bytes: Uint8Array, wire: WireField, nodes: Node[], byField: Map<number, Node>, depth: number): void {
  const field = type.byNumber.get(wire.number);
  const range: ByteRange = [wire.start, wire.end];
  if (!field || !fitsWire(field, wire.type)) {
    nodes.push({ kind: "unknown", number: wire.number, wire: wire.type, range });
    return;
  }
  const before = byField.get(wire.number);
  if (field.message) {
    if (depth >= MAX_DEPTH) throw new WireError(`messages are nested deeper than ${MAX_DEPTH} at byte ${wire.start}`, wire.start);
    const item = readMessage(field.message(), bytes, field, range, wire.valueStart, wire.end, depth + 1);
    if (!field.isList) return put(item);
    if (before?.kind === "messages") {
      before.items.push(item);
      widen(before.range, range);
      return;
    }
    return put({ kind: "messages", field, items: [item], range: [...range] });
  }
  if (!field.isList) return put({ kind: "value", field, value: readValue(field, bytes, wire.valueStart, wire.end).value, range });
  const list: ListNode = before?.kind === "list" ? before : { kind: "list", field, values: [], ranges: [], range: [...range] };
  if (wire.type === WireType.Bytes && isPackable(field)) {
    let at = wire.valueStart;
    while (at < wire.end) {
      const { value, end } = readValue(field, bytes, at, wire.end);
      list.values.push(value);
      list.ranges.push([at, end]);
      at = end;
    }
  } else {
    list.values.push(readValue(field, bytes, wire.valueStart, wire.end).value);
    list.ranges.push([wire.valueStart, wire.end]);
  }
  if (list === before) widen(list.range, range);
  else put(list);

  function put(node: Node): void {
    // The last occurrence of a field that is no list counts, as protobuf has it.
    const old = byField.get(wire.number);
    if (old) nodes.splice(nodes.indexOf(old), 1);
    byField.set(wire.number, node);
    nodes.push(node);
  }
}

function widen(range: ByteRange, by: ByteRange): void {
  range[0] = Math.min(range[0], by[0]);
  range[1] = Math.max(range[1], by[1]);
}

export function isPackable(field: FieldSpec): boolean {
  return field.message === null && field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES;
}

export function fitsWire(field: FieldSpec, type: WireType): boolean {
  const own = wireTypeOf(field);
  return type === own || (type === WireType.Bytes && field.isList && isPackable(field));
}

function wireTypeOf(field: FieldSpec): WireType {
  if (field.message) return WireType.Bytes;
  if (field.enumeration) return WireType.Varint;
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Fixed64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Fixed32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.Bytes;
    default:
      return WireType.Varint;
  }
}

const utf8 = new TextDecoder();

export function readValue(field: FieldSpec, bytes: Uint8Array, at: number, limit: number): { value: Value; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (size: number): number => {
    if (at + size > limit) throw new WireError(`${field.name} at byte ${at} needs ${size} bytes, ${limit - at} are left`, at);
    return at + size;
  };
  switch (wireTypeOf(field)) {
    case WireType.Fixed64: {
      const end = need(8);
      if (field.scalar === ScalarType.DOUBLE) return { value: view.getFloat64(at, true), end };
      return { value: field.scalar === ScalarType.FIXED64 ? view.getBigUint64(at, true) : view.getBigInt64(at, true), end };
    }
    case WireType.Fixed32: {
      const end = need(4);
      if (field.scalar === ScalarType.FLOAT) return { value: view.getFloat32(at, true), end };
      return { value: field.scalar === ScalarType.FIXED32 ? view.getUint32(at, true) : view.getInt32(at, true), end };
    }
    case WireType.Bytes: {
      const raw = bytes.subarray(at, limit);
      return { value: field.scalar === ScalarType.STRING ? utf8.decode(raw) : raw.slice(), end: limit };
    }
    default: {
      const { value, end } = readVarint(bytes, at, limit);
      return { value: varintAs(field, value), end };
    }
  }
}

function varintAs(field: FieldSpec, raw: bigint): Value {
  if (field.enumeration) return Number(BigInt.asIntN(32, raw));
  switch (field.scalar) {
    case ScalarType.BOOL:
      return raw !== 0n;
    case ScalarType.INT32:
      return Number(BigInt.asIntN(32, raw));
    case ScalarType.UINT32:
      return Number(BigInt.asUintN(32, raw));
    case ScalarType.SINT32:
      return Number(BigInt.asIntN(32, unzigzag(BigInt.asUintN(32, raw))));
    case ScalarType.SINT64:
      return unzigzag(raw);
    case ScalarType.UINT64:
      return raw;
    default:
      return BigInt.asIntN(64, raw);
  }
}
