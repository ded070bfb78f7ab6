// The protobuf wire format, walked by hand: which bytes belong to which field. Knows nothing of names or types.
// Foreign bytes: every length is checked against the end; a problem is a WireError with the offset.

export class WireError extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
    this.name = "WireError";
  }
}

export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;
export type WireType = (typeof WireType)[keyof typeof WireType];

/** One field occurrence: tag at `start`, value in [valueStart, end). For Bytes the value excludes its length. */
export interface WireField {
  number: number;
  type: WireType;
  start: number;
  valueStart: number;
  end: number;
}

/** A varint at `at` before `limit`: its 64 bits and where it ends. */
export function readVarint(bytes: Uint8Array, at: number, limit: number): { value: bigint; end: number } {
  let low = 0;
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const position = at + i;
    if (position >= limit) throw new WireError(`a number at byte ${at} is cut off at byte ${limit}`, at);
    const byte = bytes[position]!;
    if (i < 4) low += (byte & 0x7f) * 2 ** (7 * i);
    else {
      if (i === 4) value = BigInt(low);
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    }
    if (byte < 0x80) return { value: i < 4 ? BigInt(low) : BigInt.asUintN(64, value), end: position + 1 };
  }
  throw new WireError(`a number at byte ${at} has more than ten bytes`, at);
}

/** All field occurrences in [start, end), in order. */
export function walk(bytes: Uint8Array, start = 0, end = bytes.length): WireField[] {
  const fields: WireField[] = [];
  let at = start;
  while (at < end) {
    const field = readField(bytes, at, end);
    fields.push(field);
    at = field.end;
  }
  return fields;
}

/** The field occurrence whose tag is at `at`. */
export function readField(bytes: Uint8Array, at: number, limit: number): WireField {
  const tag = readVarint(bytes, at, limit);
  if (tag.value > 0xffffffffn) throw new WireError(`tag ${tag.value} at byte ${at} is too large`, at);
  const type = Number(tag.value & 7n) as WireType;
  const number = Number(tag.value >> 3n);
  if (number === 0) throw new WireError(`field number 0 at byte ${at}`, at);
  let valueStart = tag.end;
  let end: number;
  switch (type) {
    case WireType.Varint:
      end = readVarint(bytes, valueStart, limit).end;
      break;
    case WireType.Fixed64:
      end = valueStart + 8;
      break;
    case WireType.Fixed32:
      end = valueStart + 4;
      break;
    case WireType.Bytes: {
      const length = readVarint(bytes, valueStart, limit);
      if (length.value > BigInt(limit)) throw new WireError(`length ${length.value} at byte ${valueStart} passes the end`, at);
      valueStart = length.end;
      end = valueStart + Number(length.value);
      break;
    }
    default:
      throw new WireError(`wire type ${type} at byte ${at} is not used by proto3`, at);
  }
  if (end > limit) throw new WireError(`field ${number} at byte ${at} needs ${end - limit} bytes more than there are`, at);
  return { number, type, start: at, valueStart, end };
}

/** Zigzag as sint32 and sint64 use it. */
export function unzigzag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}
