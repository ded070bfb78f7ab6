// Message types from a FileDescriptorSet, reduced to what unfolding asks: number, name, scalar, enumeration or message, list or not.
import { createFileRegistry, fromBinary, ScalarType, type DescField, type DescMessage, type FileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export { ScalarType };

export interface EnumSpec {
  typeName: string;
  names: Map<number, string>; // without the prefix that all values share
}

export interface FieldSpec {
  number: number;
  name: string; // as in the .proto file
  isList: boolean;
  scalar: ScalarType | null;
  enumeration: EnumSpec | null;
  message: (() => MessageSpec) | null; // called late: types may contain themselves
}

export interface MessageSpec {
  typeName: string;
  fields: FieldSpec[];
  byNumber: Map<number, FieldSpec>;
}

/** All message types of one descriptor set. */
export class Schema {
  private readonly known = new Map<string, MessageSpec>();
  private readonly registry: FileRegistry;

  constructor(descriptorSet: Uint8Array) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  }

  static fromBase64(text: string): Schema {
    return new Schema(bytesFromBase64(text));
  }

  /** The type called `typeName`, null when the set has none. */
  message(typeName: string): MessageSpec | null {
    const before = this.known.get(typeName);
    if (before) return before;
    const desc = this.registry.getMessage(typeName);
    return desc ? this.compile(desc) : null;
  }

  private compile(desc: DescMessage): MessageSpec {
    const before = this.known.get(desc.typeName);
    if (before) return before;
    const spec = messageSpec(desc.typeName, desc.fields.map((field) => this.field(field)));
    this.known.set(desc.typeName, spec);
    return spec;
  }

  private field(field: DescField): FieldSpec {
    const base = { number: field.number, name: field.name, isList: field.fieldKind === "list", scalar: null, enumeration: null, message: null };
    if (field.fieldKind === "map") {
      const key: FieldSpec = { number: 1, name: "key", isList: false, scalar: field.mapKey, enumeration: null, message: null };
      const valueMessage = field.mapKind === "message" ? field.message : null;
      const value: FieldSpec = {
        number: 2,
        name: "value",
        isList: false,
        scalar: field.mapKind === "scalar" ? field.scalar : null,
        enumeration: field.mapKind === "enum" ? enumSpec(field.enum) : null,
        message: valueMessage ? () => this.compile(valueMessage) : null,
      };
      const entry = messageSpec(`${field.parent.typeName}.${field.name}`, [key, value]);
      return { ...base, isList: true, message: () => entry };
    }
    const message = field.message;
    if (message) return { ...base, message: () => this.compile(message) };
    if (field.enum) return { ...base, enumeration: enumSpec(field.enum) };
    return { ...base, scalar: field.scalar ?? null };
  }
}

function messageSpec(typeName: string, fields: FieldSpec[]): MessageSpec {
  const sorted = [...fields].sort((a, b) => a.number - b.number);
  return { typeName, fields: sorted, byNumber: new Map(sorted.map((field) => [field.number, field])) };
}

function enumSpec(desc: { typeName: string; values: { number: number; name: string }[] }): EnumSpec {
  const prefix = sharedPrefix(desc.values.map((value) => value.name));
  return { typeName: desc.typeName, names: new Map(desc.values.map((value) => [value.number, value.name.slice(prefix.length)])) };
}

/** What all names begin with, up to and with the last underscore: "LIGHT_" of LIGHT_RED and LIGHT_GREEN. */
export function sharedPrefix(names: string[]): string {
  const first = names[0];
  if (first === undefined || names.length < 2) return "";
  let length = first.length;
  for (const name of names) while (!name.startsWith(first.slice(0, length))) length--;
  return first.slice(0, first.lastIndexOf("_", length - 1) + 1);
}

export function bytesFromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
