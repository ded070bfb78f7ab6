// Bytes of a section -> typed columns. What is written: "dtype[:scale][:d][:s]", little endian, column after column.
import type { Column, Columns } from "../model";

export class DataError extends Error {
  /** `chinese`: the same in Chinese, where there is such. */
  constructor(
    message: string,
    readonly chinese = "",
  ) {
    super(message);
  }
}

const MAKERS = {
  i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array,
} as const;
type Dtype = keyof typeof MAKERS;

export interface Encoding { dtype: Dtype; size: number; scale: number | null; delta: boolean; shuffled: boolean }

export function parseEncoding(text: string): Encoding {
  const [dtype, ...rest] = text.split(":");
  if (!Object.hasOwn(MAKERS, dtype)) throw new DataError(`column encoding '${text}' is unknown`);
  const out: Encoding = { dtype: dtype as Dtype, size: MAKERS[dtype as Dtype].BYTES_PER_ELEMENT, scale: null, delta: false, shuffled: false };
  for (const part of rest) {
    if (part === "d") out.delta = true;
    else if (part === "s") out.shuffled = true;
    else if (Number.isFinite(Number(part)) && part !== "" && out.scale === null) out.scale = Number(part);
    else throw new DataError(`column encoding '${text}' is unknown`);
  }
  return out;
}

function unshuffle(bytes: Uint8Array, size: number): Uint8Array {
  const n = bytes.length / size;
  const out = new Uint8Array(bytes.length);
  for (let k = 0; k < size; k++) for (let i = 0, at = k * n; i < n; i++) out[i * size + k] = bytes[at + i];
  return out;
}

/** The numbers of a column before scaling, in a buffer of their own, so that any offset is aligned. */
function rawColumn(bytes: Uint8Array, { dtype, size, shuffled }: Encoding): Column {
  const isPlain = !shuffled || size === 1;
  if (isPlain || size === 8 || dtype === "f32") return new MAKERS[dtype]((isPlain ? bytes.slice() : unshuffle(bytes, size)).buffer as ArrayBuffer);
  // Most columns of a block: put together without a second copy.
  const n = bytes.length / size;
  const out: Column = new MAKERS[dtype](n);
  if (size === 2) for (let i = 0; i < n; i++) out[i] = bytes[i] | (bytes[n + i] << 8);
  else for (let i = 0, b = n, c = 2 * n, d = 3 * n; i < n; i++) out[i] = bytes[i] | (bytes[b + i] << 8) | (bytes[c + i] << 16) | (bytes[d + i] << 24);
  return out;
}

function decodeColumn(bytes: Uint8Array, encoding: Encoding): Column {
  const values = rawColumn(bytes, encoding);
  if (encoding.delta) for (let i = 1; i < values.length; i++) values[i] += values[i - 1]; // typed arrays wrap as the writer did
  if (encoding.scale === null) return values;
  const { scale } = encoding;
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i] * scale;
  return out;
}

export interface SectionInfo { raw: number; rows: number; counts?: Record<string, number> }

export function decodeSection(bytes: Uint8Array, columns: [string, string][], info: SectionInfo): Columns {
  const out: Columns = {};
  let at = 0;
  for (const [name, text] of columns) {
    const encoding = parseEncoding(text);
    const count = info.counts?.[name] ?? info.rows;
    const end = at + count * encoding.size;
    if (!Number.isInteger(count) || count < 0 || end > bytes.length)
      throw new DataError(`column '${name}' ends at byte ${end} of a section of ${bytes.length}`);
    out[name] = decodeColumn(bytes.subarray(at, end), encoding);
    at = end;
  }
  if (at !== bytes.length) throw new DataError(`a section of ${bytes.length} bytes holds ${at} bytes of columns`);
  return out;
}

const MAX_RAW = 512 * 1024 * 1024;

/** Inflates a zlib stream that must give exactly `raw` bytes. */
export async function inflate(bytes: Uint8Array, raw: number): Promise<Uint8Array> {
  if (!(raw >= 0 && raw <= MAX_RAW)) throw new DataError(`a section says it has ${raw} bytes`);
  // Written straight into the stream: a Blob's bytes would take a way through another process of the browser.
  const filter = new DecompressionStream("deflate");
  const writer = filter.writable.getWriter();
  for (const step of [writer.write(bytes as BufferSource), writer.close()]) step.catch(() => undefined); // the reader hears of it
  const reader = filter.readable.getReader();
  const out = new Uint8Array(raw);
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > raw) {
      await reader.cancel();
      throw new DataError(`a section is longer than its ${raw} bytes`);
    }
    out.set(value, at);
    at += value.length;
  }
  if (at !== raw) throw new DataError(`a section has ${at} bytes, its manifest says ${raw}`);
  return out;
}

export function fromBase64(text: string): Uint8Array {
  const quick = (Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array }).fromBase64; // newer browsers
  if (quick) return quick.call(Uint8Array, text);
  const clean = atob(text.trim());
  const out = new Uint8Array(clean.length);
  for (let i = 0; i < out.length; i++) out[i] = clean.charCodeAt(i);
  return out;
}

export function bytesOf(columns: Columns): number {
  return Object.values(columns).reduce((sum, column) => sum + column.byteLength, 0);
}
