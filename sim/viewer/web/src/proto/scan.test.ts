// Scanning finds exactly the values that unfolding shows, whatever the message.
import { create, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Scanner } from "./scan";
import { Schema, type FieldSpec } from "./schema";
import { unfold, type MessageNode, type Value } from "./unfold";

/** message M { int32 a = 1; repeated double b = 2; M c = 3; repeated M d = 4; string e = 5; repeated fixed32 f = 6; repeated sint64 g = 7; fixed64 h = 20; }
 *  message Other { Leaf leaf = 1; } message Leaf { bool x = 1; } */
const field = (name: string, number: number, type: Type, isList = false, typeName = ""): object => ({ name, number, type, label: isList ? Label.REPEATED : Label.OPTIONAL, typeName });
const schema = new Schema(
  toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, {
      file: [
        {
          name: "s.proto",
          package: "s",
          syntax: "proto3",
          messageType: [
            {
              name: "M",
              field: [
                field("a", 1, Type.INT32), field("b", 2, Type.DOUBLE, true), field("c", 3, Type.MESSAGE, false, ".s.M"), field("d", 4, Type.MESSAGE, true, ".s.M"),
                field("e", 5, Type.STRING), field("f", 6, Type.FIXED32, true), field("g", 7, Type.SINT64, true), field("h", 20, Type.FIXED64),
              ],
            },
            { name: "Other", field: [field("leaf", 1, Type.MESSAGE, false, ".s.Leaf")] },
            { name: "Leaf", field: [field("x", 1, Type.BOOL)] },
          ],
        },
      ],
    }),
  ),
);
const type = schema.message("s.M")!;

let state = 1;
const random = (below: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]);
const bytesOf = (view: Float64Array | Uint32Array): number[] => [...new Uint8Array(view.buffer)];
const block = (number: number, inside: number[]): number[] => [...varint(number * 8 + 2), ...varint(inside.length), ...inside];

/** Any message, with fields in any order, some of them several times, packed or not, and some that nobody knows. */
function message(depth: number): number[] {
  const out: number[] = [];
  for (let i = random(7); i > 0; i--) {
    const doubles = Float64Array.from({ length: random(4) }, () => random(100) / 4);
    const kinds: (() => number[])[] = [
      () => [8, ...varint(random(5) === 0 ? 2 ** 40 + 5 : random(300))],
      () => block(2, bytesOf(doubles)),
      () => [0x11, ...bytesOf(Float64Array.of(random(50)))],
      () => (depth > 0 ? block(3, message(depth - 1)) : []),
      () => (depth > 0 ? block(4, message(depth - 1)) : []),
      () => block(5, Array.from({ length: random(200) }, () => 97 + random(26))),
      () => block(6, bytesOf(Uint32Array.from({ length: random(3) }, () => random(1000)))),
      () => block(7, Array.from({ length: random(4) }, () => varint(random(1000))).flat()),
      () => [0xa1, 1, ...bytesOf(Uint32Array.of(random(9), 0))],
      () => block(90 + random(50), [1, 2, 3]),
      () => [...varint(99 * 8 + 5), 1, 2, 3, 4],
      () => [...varint(15 * 8), ...varint(random(1e6))],
    ];
    out.push(...kinds[random(kinds.length)]!());
  }
  return out;
}

function shown(node: MessageNode, wanted: string, into: Set<string> = new Set()): Set<string> {
  for (const each of node.nodes) {
    if (each.kind === "message") shown(each, wanted, into);
    else if (each.kind === "messages") for (const item of each.items) shown(item, wanted, into);
    else if (each.kind === "value" && each.field.name === wanted) into.add(String(each.value));
    else if (each.kind === "list" && each.field.name === wanted) for (const value of each.values) into.add(String(value));
  }
  return into;
}

function scanned(bytes: Uint8Array, wanted: string, start = 0, end = bytes.length): Set<string> {
  const found = new Set<string>();
  new Scanner(type, (each: FieldSpec) => each.name === wanted).some(bytes, start, end, (_field, value: Value) => (found.add(String(value)), false));
  return found;
}

describe("scanning", () => {
  it("finds what unfolding shows in 600 messages", () => {
    for (let i = 0; i < 600; i++) {
      const inner = Uint8Array.from(message(3));
      const bytes = Uint8Array.from([255, 255, ...inner, 255]);
      for (const name of ["a", "b", "e", "f", "g", "h"]) expect(scanned(bytes, name, 2, 2 + inner.length), `${i} ${name} ${inner}`).toEqual(shown(unfold(type, inner), name));
    }
  });

  it("ends at the first value that passes", () => {
    let asked = 0;
    const bytes = Uint8Array.from(block(2, bytesOf(Float64Array.of(1, 2, 3, 4))));
    expect(new Scanner(type, (each) => each.name === "b").some(bytes, 0, bytes.length, (_field, value) => (asked++, value === 2))).toBe(true);
    expect(asked).toBe(2);
  });

  it("knows types that cannot hold the field", () => {
    const other = schema.message("s.Other")!;
    expect(new Scanner(other, (each) => each.name === "a").canFind).toBe(false);
    expect(new Scanner(other, (each) => each.name === "x").canFind).toBe(true);
    expect(new Scanner(type, (each) => each.name === "nothing").canFind).toBe(false); // though the type holds itself
  });

  it("takes cut and random bytes without complaint, and finds nothing that was not there before the cut", () => {
    for (let i = 0; i < 300; i++) {
      const whole = Uint8Array.from(message(3));
      const cut = whole.slice(0, random(whole.length + 1));
      scanned(cut, "b");
      scanned(Uint8Array.from({ length: random(60) }, () => random(256)), "b");
    }
    expect([...scanned(Uint8Array.from([...block(2, bytesOf(Float64Array.of(7))), 8, 200]), "b")]).toEqual(["7"]);
  });
});
