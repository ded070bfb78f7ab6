// Looks for values in a message's bytes without unfolding it: fields that nobody asks for are stepped over. Searches go through
// tens of megabytes this way. It sees what `unfold` shows: the last occurrence of a single value, everything up to a damaged place.
import { ScalarType, type FieldSpec, type MessageSpec } from "./schema";
import { fitsWire, isPackable, readValue, type Value } from "./unfold";
import { readField, WireError, WireType } from "./wire";

/** Hears of a value of a wanted field; true ends the search. */
export type Test = (field: FieldSpec, value: Value) => boolean;

/** What to do with the fields of one message type: look at their values, or go into them. The others are stepped over. */
interface Plan { values: Map<number, FieldSpec>; inside: Map<number, { field: FieldSpec; plan: Plan }> }

const MAX_DEPTH = 32;

/** Finds values of the fields that `isWanted`, at any depth. */
export class Scanner {
  private readonly plans = new Map<MessageSpec, Plan>();
  private readonly root: Plan;

  constructor(type: MessageSpec, private readonly isWanted: (field: FieldSpec) => boolean) {
    this.root = this.planOf(type);
    this.prune();
  }

  /** Whether messages of the type have a wanted field at all. */
  get canFind(): boolean {
    return this.root.values.size + this.root.inside.size > 0;
  }

  /** Whether `test` holds for some value in bytes [start, end). */
  some(bytes: Uint8Array, start: number, end: number, test: Test): boolean {
    return this.canFind && scan(this.root, bytes, start, end, test, 0);
  }

  private planOf(type: MessageSpec): Plan {
    let plan = this.plans.get(type);
    if (plan) return plan;
    this.plans.set(type, (plan = { values: new Map(), inside: new Map() })); // before its fields: types may contain themselves
    for (const field of type.fields) {
      if (field.message) plan.inside.set(field.number, { field, plan: this.planOf(field.message()) });
      else if (this.isWanted(field)) plan.values.set(field.number, field);
    }
    return plan;
  }

  /** Takes out ways that lead to nothing wanted. */
  private prune(): void {
    const useful = new Set<Plan>();
    for (let before = -1; useful.size !== before; ) {
      before = useful.size;
      for (const plan of this.plans.values()) if (plan.values.size > 0 || [...plan.inside.values()].some((each) => useful.has(each.plan))) useful.add(plan);
    }
    for (const plan of this.plans.values()) for (const [number, each] of plan.inside) if (!useful.has(each.plan)) plan.inside.delete(number);
  }
}

/** Where a varint ends; -1 when it is not whole. */
function skipVarint(bytes: Uint8Array, at: number, limit: number): number {
  for (let i = at; i < limit && i < at + 10; i++) if (bytes[i] < 0x80) return i + 1;
  return -1;
}

function scan(plan: Plan, bytes: Uint8Array, start: number, end: number, test: Test, depth: number): boolean {
  let single: Map<number, { field: FieldSpec; at: number; end: number }> | null = null; // of these the last one counts
  let inner: Map<number, { plan: Plan; at: number; end: number }> | null = null;
  let at = start;
  try {
    while (at < end) {
      // The common case, a field that nobody wants, without making anything.
      const tag = bytes[at];
      const number = tag >> 3;
      if (tag < 0x80 && number > 0 && !plan.values.has(number) && !plan.inside.has(number)) {
        const type = tag & 7;
        let next = -1;
        if (type === WireType.Varint) next = skipVarint(bytes, at + 1, end);
        else if (type === WireType.Fixed32) next = at + 5;
        else if (type === WireType.Fixed64) next = at + 9;
        else if (type === WireType.Bytes && bytes[at + 1] < 0x80) next = at + 2 + bytes[at + 1];
        if (next > 0 && next <= end) {
          at = next;
          continue;
        }
      }
      const wire = readField(bytes, at, end);
      const field = plan.values.get(wire.number);
      const into = field ? undefined : plan.inside.get(wire.number);
      if (field && fitsWire(field, wire.type)) {
        if (!field.isList) (single ??= new Map()).set(wire.number, { field, at: wire.valueStart, end: wire.end });
        else if (wire.type === WireType.Bytes && isPackable(field)) {
          if (packed(field, bytes, wire.valueStart, wire.end, test)) return true;
        } else if (test(field, readValue(field, bytes, wire.valueStart, wire.end).value)) return true;
      } else if (into && wire.type === WireType.Bytes) {
        if (depth >= MAX_DEPTH) break;
        if (!into.field.isList) (inner ??= new Map()).set(wire.number, { plan: into.plan, at: wire.valueStart, end: wire.end });
        else if (scan(into.plan, bytes, wire.valueStart, wire.end, test, depth + 1)) return true;
      }
      at = wire.end;
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  if (single) for (const each of single.values()) if (test(each.field, readValue(each.field, bytes, each.at, each.end).value)) return true;
  if (inner) for (const each of inner.values()) if (scan(each.plan, bytes, each.at, each.end, test, depth + 1)) return true;
  return false;
}

/** Packed numbers; those of four or eight bytes are read straight. */
function packed(field: FieldSpec, bytes: Uint8Array, start: number, end: number, test: Test): boolean {
  const isFloat = field.scalar === ScalarType.FLOAT;
  if (isFloat || field.scalar === ScalarType.DOUBLE) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = isFloat ? 4 : 8;
    let at = start;
    for (; at + size <= end; at += size) if (test(field, isFloat ? view.getFloat32(at, true) : view.getFloat64(at, true))) return true;
    start = at;
  }
  for (let at = start; at < end; ) {
    const value = readValue(field, bytes, at, end);
    if (test(field, value.value)) return true;
    at = value.end;
  }
  return false;
}
