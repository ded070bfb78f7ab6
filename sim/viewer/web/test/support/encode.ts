// Writes sections as a pack does: the other direction of data/columns.ts, for tests alone.
import { parseEncoding } from "../../src/data/columns";

const MAKERS = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };

export function encodeColumn(values: ArrayLike<number>, text: string): Uint8Array {
  const encoding = parseEncoding(text);
  const numbers = Array.from(values, (v) => (encoding.scale === null ? v : Math.round(v / encoding.scale)));
  const deltas = encoding.delta ? numbers.map((v, i) => (i === 0 ? v : v - numbers[i - 1])) : numbers;
  const plain = new Uint8Array(MAKERS[encoding.dtype].from(deltas).buffer);
  if (!encoding.shuffled) return plain;
  const out = new Uint8Array(plain.length);
  const n = plain.length / encoding.size;
  for (let i = 0; i < n; i++) for (let k = 0; k < encoding.size; k++) out[k * n + i] = plain[i * encoding.size + k];
  return out;
}

export function concat(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
