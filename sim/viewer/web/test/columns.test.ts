import { describe, expect, test } from "vitest";
import { DataError, decodeSection, fromBase64, inflate, parseEncoding } from "../src/data/columns";
import { concat, deflate, encodeColumn } from "./support/encode";

const decode = (values: number[], encoding: string): number[] => {
  const bytes = encodeColumn(values, encoding);
  return Array.from(decodeSection(bytes, [["v", encoding]], { raw: bytes.length, rows: values.length }).v);
};

describe("columns", () => {
  test.each(["i8", "u8", "i16", "u16", "i32", "u32", "f32", "f64"])("%s comes back, with deltas and shuffled", (dtype) => {
    const values = dtype.startsWith("u") ? [3, 0, 120, 7, 7] : [3, -5, 120, 7, -128];
    for (const suffix of ["", ":d", ":s", ":d:s"]) expect(decode(values, dtype + suffix)).toEqual(values);
  });

  test("bytes written elsewhere: i32:0.01:d:s of 1.00, 3.50, 3.49", () => {
    // 100, +250, -1 as little-endian i32, then first bytes, second bytes, ...
    const bytes = Uint8Array.from([100, 250, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255]);
    const { v } = decodeSection(bytes, [["v", "i32:0.01:d:s"]], { raw: 12, rows: 3 });
    expect(Array.from(v).map((x) => Math.round(x * 1e6) / 1e6)).toEqual([1, 3.5, 3.49]);
  });

  test("deltas wrap in the type of the column, as they were written", () => {
    expect(Array.from(decodeSection(Uint8Array.from([250, 10]), [["v", "u8:d"]], { raw: 2, rows: 2 }).v)).toEqual([250, 4]);
  });

  test("columns of other lengths come after each other, at any alignment", () => {
    const raw = concat([encodeColumn([1], "u8"), encodeColumn([1.5, -2.5], "f64"), encodeColumn([7, 8, 9], "u16")]);
    const out = decodeSection(raw, [["a", "u8"], ["b", "f64"], ["c", "u16"]], { raw: raw.length, rows: 2, counts: { a: 1, c: 3 } });
    expect([Array.from(out.a), Array.from(out.b), Array.from(out.c)]).toEqual([[1], [1.5, -2.5], [7, 8, 9]]);
  });

  test("what does not fit is refused", () => {
    expect(() => decodeSection(new Uint8Array(4), [["v", "u16"]], { raw: 4, rows: 3 })).toThrow(DataError);
    expect(() => decodeSection(new Uint8Array(8), [["v", "u16"]], { raw: 8, rows: 3 })).toThrow(/8 bytes holds 6/);
    expect(() => decodeSection(new Uint8Array(8), [["v", "u16"]], { raw: 8, rows: -3 })).toThrow(DataError);
    for (const bad of ["u64", "i32:x", "i32:0.1:0.2", "", "constructor"]) expect(() => parseEncoding(bad)).toThrow(DataError);
  });

  test("inflate wants exactly the bytes it was told", async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i % 7);
    const packed = await deflate(bytes);
    expect(await inflate(packed, 5000)).toEqual(bytes);
    await expect(inflate(packed, 4999)).rejects.toThrow(DataError);
    await expect(inflate(packed, 5001)).rejects.toThrow(DataError);
    await expect(inflate(packed, 1e12)).rejects.toThrow(DataError);
    await expect(inflate(packed.subarray(0, packed.length - 9), 5000)).rejects.toThrow();
  });

  test("base64 with line ends around it", () => {
    expect(Array.from(fromBase64("\n AAH/ \n"))).toEqual([0, 1, 255]);
  });
});
