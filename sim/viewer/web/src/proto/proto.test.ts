import { create, toBinary } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FieldOptionsSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Schema, sharedPrefix } from "./schema";
import { asJson, columnsOf, flagNames, itemsTable, nameAndUnit, numberText, placeOf, secondsText, valueText } from "./shape";
import { unfold, type ListNode, type MessagesNode, type Node } from "./unfold";
import { readVarint, unzigzag, walk, WireError, WireType } from "./wire";

/** message Phase { uint32 id = 1; Light light = 2; optional int64 end_ns = 3; }
 *  message Batch { int64 t_ns = 1; repeated fixed32 station_id = 2; repeated double x_m = 3; string mode = 4;
 *                  repeated Phase phase = 5; repeated Light light = 6; sint32 doors = 7; bool is_on = 8; float gain = 9;
 *                  repeated double lone_s = 10 [packed = false]; map<string, double> value = 11; } */
const set = create(FileDescriptorSetSchema, {
  file: [
    {
      name: "t.proto",
      package: "t",
      syntax: "proto3",
      enumType: [
        {
          name: "Light",
          value: [
            { name: "LIGHT_UNSPECIFIED", number: 0 },
            { name: "LIGHT_RED", number: 2 },
            { name: "LIGHT_GREEN_PROTECTED", number: 5 },
          ],
        },
      ],
      messageType: [
        {
          name: "Phase",
          field: [
            { name: "id", number: 1, type: Type.UINT32, label: Label.OPTIONAL },
            { name: "light", number: 2, type: Type.ENUM, typeName: ".t.Light", label: Label.OPTIONAL },
            { name: "end_ns", number: 3, type: Type.INT64, label: Label.OPTIONAL },
          ],
        },
        {
          name: "Batch",
          nestedType: [
            {
              name: "ValueEntry",
              options: { mapEntry: true },
              field: [
                { name: "key", number: 1, type: Type.STRING, label: Label.OPTIONAL },
                { name: "value", number: 2, type: Type.DOUBLE, label: Label.OPTIONAL },
              ],
            },
          ],
          field: [
            { name: "t_ns", number: 1, type: Type.INT64, label: Label.OPTIONAL },
            { name: "station_id", number: 2, type: Type.FIXED32, label: Label.REPEATED },
            { name: "x_m", number: 3, type: Type.DOUBLE, label: Label.REPEATED },
            { name: "mode", number: 4, type: Type.STRING, label: Label.OPTIONAL },
            { name: "phase", number: 5, type: Type.MESSAGE, typeName: ".t.Phase", label: Label.REPEATED },
            { name: "light", number: 6, type: Type.ENUM, typeName: ".t.Light", label: Label.REPEATED },
            { name: "doors", number: 7, type: Type.SINT32, label: Label.OPTIONAL },
            { name: "is_on", number: 8, type: Type.BOOL, label: Label.OPTIONAL },
            { name: "gain", number: 9, type: Type.FLOAT, label: Label.OPTIONAL },
            { name: "lone_s", number: 10, type: Type.DOUBLE, label: Label.REPEATED, options: create(FieldOptionsSchema, { packed: false }) },
            { name: "value", number: 11, type: Type.MESSAGE, typeName: ".t.Batch.ValueEntry", label: Label.REPEATED },
          ],
        },
      ],
    },
  ],
});
const schema = new Schema(toBinary(FileDescriptorSetSchema, set));
const batch = schema.message("t.Batch")!;
const hex = (text: string): Uint8Array => Uint8Array.from(text.split(/\s+/).filter(Boolean), (pair) => parseInt(pair, 16));
const named = (nodes: Node[], name: string): Node => nodes.find((node) => "field" in node && node.field?.name === name)!;

describe("wire format", () => {
  it("reads numbers of every length, up to all 64 bits", () => {
    expect(readVarint(hex("00"), 0, 1)).toEqual({ value: 0n, end: 1 });
    expect(readVarint(hex("ac 02"), 0, 2)).toEqual({ value: 300n, end: 2 });
    expect(readVarint(hex("ff ff ff ff 0f"), 0, 5)).toEqual({ value: 0xffffffffn, end: 5 });
    expect(readVarint(hex("80 80 80 80 80 80 80 80 80 01"), 0, 10).value).toBe(1n << 63n);
    expect(readVarint(hex("ff ff ff ff ff ff ff ff ff 01"), 0, 10).value).toBe((1n << 64n) - 1n);
    expect(() => readVarint(hex("ff ff"), 0, 2)).toThrow(WireError);
    expect(() => readVarint(hex("ff ff ff ff ff ff ff ff ff ff 01"), 0, 11)).toThrow(/more than ten/);
  });

  it("gives each field its bytes", () => {
    const bytes = hex("08 96 01  22 02 68 69  15 01 00 00 00  19 00 00 00 00 00 00 f0 3f");
    expect(walk(bytes)).toEqual([
      { number: 1, type: WireType.Varint, start: 0, valueStart: 1, end: 3 },
      { number: 4, type: WireType.Bytes, start: 3, valueStart: 5, end: 7 },
      { number: 2, type: WireType.Fixed32, start: 7, valueStart: 8, end: 12 },
      { number: 3, type: WireType.Fixed64, start: 12, valueStart: 13, end: 21 },
    ]);
  });

  it("refuses lengths past the end, groups, field number 0 and cut fields", () => {
    expect(() => walk(hex("22 02 68"))).toThrow(/bytes more/);
    expect(() => walk(hex("22 ff ff ff ff ff ff ff ff ff 01"))).toThrow(/passes the end/);
    expect(() => walk(hex("0b"))).toThrow(/wire type 3/);
    expect(() => walk(hex("00 01"))).toThrow(/field number 0/);
    expect(() => walk(hex("19 00 00"))).toThrow(/bytes more/);
  });

  it("undoes zigzag", () => {
    expect([0n, 1n, 2n, 3n, 4294967295n].map(unzigzag)).toEqual([0n, -1n, 1n, -2n, -2147483648n]);
  });
});

describe("unfolding", () => {
  // t_ns = 1.5e9; two stations 7 and 9; x 1.0 and -2.0; mode "hi"; two phases; lights red, green; doors -1
  const bytes = hex(
    "08 80 de a0 cb 05" +
      " 12 08 07 00 00 00 09 00 00 00" +
      " 1a 10 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 00 c0" +
      " 22 02 68 69" +
      " 2a 04 08 03 10 02" +
      " 2a 06 08 04 10 05 18 07" +
      " 32 02 02 05" +
      " 38 01",
  );
  const tree = unfold(batch, bytes);

  it("names values and keeps their bytes", () => {
    expect(named(tree.nodes, "t_ns")).toMatchObject({ kind: "value", value: 1_500_000_000n, range: [0, 6] });
    expect(named(tree.nodes, "mode")).toMatchObject({ value: "hi", range: [34, 38] });
    expect(named(tree.nodes, "doors")).toMatchObject({ value: -1 });
    const x = named(tree.nodes, "x_m") as ListNode;
    expect(x.values).toEqual([1, -2]);
    expect(x.ranges).toEqual([
      [18, 26],
      [26, 34],
    ]);
    expect(x.range).toEqual([16, 34]);
    const phases = named(tree.nodes, "phase") as MessagesNode;
    expect(phases.items.map((item) => item.range)).toEqual([
      [38, 44],
      [44, 52],
    ]);
  });

  it("covers every byte exactly once", () => {
    const owner = new Array<number>(bytes.length).fill(0);
    for (const node of tree.nodes) {
      const parts = node.kind === "messages" ? node.items.map((item) => item.range) : [node.range];
      for (const [start, end] of parts) for (let at = start; at < end; at++) owner[at]++;
    }
    expect(owner.every((count) => count === 1)).toBe(true);
  });

  it("finds the field of a byte", () => {
    expect(placeOf(tree, 0)?.path).toBe("t_ns");
    expect(placeOf(tree, 27)).toEqual({ path: "x_m[1]", range: [26, 34] });
    expect(placeOf(tree, 17)?.path).toBe("x_m"); // its length
    expect(placeOf(tree, 49)?.path).toBe("phase[1].light");
    expect(placeOf(tree, 45)?.path).toBe("phase[1]"); // its length
    expect(placeOf(tree, bytes.length)).toBeNull();
  });

  it("puts columns of one length into one table", () => {
    const { table, rest } = columnsOf(tree);
    expect(table?.rows).toBe(2);
    expect(table?.columns.map((column) => column.field.name)).toEqual(["station_id", "x_m", "light"]);
    expect(rest.map((node) => ("field" in node ? node.field?.name : ""))).toEqual(["t_ns", "mode", "phase", "doors"]);
    const items = itemsTable((named(tree.nodes, "phase") as MessagesNode).items)!;
    expect(items.fields.map((field) => field.name)).toEqual(["id", "light", "end_ns"]);
    expect(items.cells[0]![2]).toBeUndefined();
  });

  it("gives JSON with the names of the schema", () => {
    expect(asJson(tree)).toEqual({
      t_ns: "1500000000",
      station_id: [7, 9],
      x_m: [1, -2],
      mode: "hi",
      phase: [
        { id: 3, light: "RED" },
        { id: 4, light: "GREEN_PROTECTED", end_ns: "7" },
      ],
      light: ["RED", "GREEN_PROTECTED"],
      doors: -1,
    });
  });

  it("reads lists that are not packed, maps, floats and the last of a repeated single value", () => {
    const other = unfold(batch, hex("51 00 00 00 00 00 00 f0 3f 4d 00 00 00 3f 51 00 00 00 00 00 00 00 40 40 00 40 01 5a 0c 0a 01 61 11 00 00 00 00 00 00 f8 3f"));
    expect(asJson(other)).toEqual({ is_on: true, gain: 0.5, lone_s: [1, 2], value: [{ key: "a", value: 1.5 }] });
    expect((named(other.nodes, "lone_s") as ListNode).ranges).toEqual([
      [1, 9],
      [15, 23],
    ]);
  });

  it("keeps what it does not know and says where bytes stop making sense", () => {
    const odd = unfold(batch, hex("a0 06 05 20 07 08 01 12 03 01 02 03"));
    expect(odd.nodes.filter((node) => node.kind === "unknown").map((node) => node.range)).toEqual([
      [3, 5],
      [0, 3],
    ]); // field 4 with the wrong wire type, field 100
    const problem = odd.nodes.at(-1)!;
    expect(problem).toMatchObject({ kind: "problem", range: [7, 12] });
    expect(asJson(odd)).toEqual({ t_ns: "1" });
  });

  it("survives every truncation and every flipped byte", () => {
    for (let length = 0; length <= bytes.length; length++) unfold(batch, bytes.slice(0, length));
    for (let at = 0; at < bytes.length; at++)
      for (const mask of [1, 0x80, 0xff]) {
        const broken = bytes.slice();
        broken[at]! ^= mask;
        const again = unfold(batch, broken);
        for (let byte = 0; byte < broken.length; byte += 7) placeOf(again, byte);
        asJson(again);
      }
  });
});

describe("words", () => {
  it("takes units from names", () => {
    expect(nameAndUnit("speed_mps")).toEqual(["speed", "m/s"]);
    expect(nameAndUnit("accel_mps2")).toEqual(["accel", "m/s²"]);
    expect(nameAndUnit("cov_xx_m2")).toEqual(["cov_xx", "m²"]);
    expect(nameAndUnit("yaw_rate_radps")).toEqual(["yaw_rate", "rad/s"]);
    expect(nameAndUnit("t_ns")).toEqual(["t", "ns"]);
    expect(nameAndUnit("station_id")).toEqual(["station_id", ""]);
  });

  it("drops what all names of an enumeration share", () => {
    expect(sharedPrefix(["LIGHT_UNSPECIFIED", "LIGHT_RED"])).toBe("LIGHT_");
    expect(sharedPrefix(["REQUEST_STATUS_A", "REQUEST_STATUS_AB"])).toBe("REQUEST_STATUS_");
    expect(sharedPrefix(["A", "B"])).toBe("");
    expect(sharedPrefix(["LONE_VALUE"])).toBe("");
  });

  it("writes numbers, seconds, bits and enumerations for people", () => {
    expect(secondsText(12_300_000_000n)).toBe("12.3");
    expect(secondsText(-5n)).toBe("-0.000000005");
    expect(numberText(0.1 + 0.2)).toBe("0.3");
    expect(numberText(1234.56789)).toBe("1234.568");
    expect(numberText(1e-9)).toBe("1.000e-9");
    expect(numberText(Number.NaN)).toBe("NaN");
    expect(flagNames(33)).toEqual(["brake", "doors open"]);
    expect(flagNames(0x101)).toEqual(["brake", "0x100"]);
    const light = batch.fields.find((field) => field.name === "light")!;
    expect(valueText(light, 5)).toBe("GREEN_PROTECTED");
    expect(valueText(light, 9)).toBe("9 (not in t.Light)");
  });
});
