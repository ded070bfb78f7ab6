// Search in what messages say: `status=rejected`, `speed_mps>20`, `reason:red`. A message passes when for every condition
// some value of that field, at any depth and in any row, meets it. The bytes of a block come at once; single ones that it lacks are
// asked of the run; messages without bytes never pass.
import type { Columns, Run } from "../model";
import type { FieldSpec, MessageSpec } from "../proto/schema";
import { nameAndUnit } from "../proto/shape";
import { Scanner, type Test } from "../proto/scan";
import type { Value } from "../proto/unfold";
import { orNull } from "./frame";
import { typeOfTopic } from "./schemas";

export interface Condition {
  name: string; // of the field, with or without its unit
  operator: "=" | "!=" | "<" | ">" | "<=" | ">=" | ":";
  wanted: string; // lower case
  limit: number; // the same as a number, NaN for words
}

const CONDITION = /^([a-z]\w*)(>=|<=|!=|=|<|>|:)(.+)$/;
const OF_LIST = new Set(["seq", "size", "rows"]); // columns of the list itself

/** The conditions in a search, and the words that are left. */
export function conditions(text: string): { words: string; tests: Condition[] } {
  const words: string[] = [];
  const tests: Condition[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const found = CONDITION.exec(word.toLowerCase());
    if (found && !OF_LIST.has(found[1]!)) tests.push({ name: found[1]!, operator: found[2] as Condition["operator"], wanted: found[3]!, limit: Number(found[3]) });
    else words.push(word);
  }
  return { words: words.join(" "), tests };
}

function isNamed(field: FieldSpec, name: string): boolean {
  return field.name === name || nameAndUnit(field.name)[0] === name;
}

/** Whether a value meets the condition. */
function holds(field: FieldSpec, value: Value, { operator, wanted, limit }: Condition): boolean {
  if (typeof value === "number" && !field.enumeration && operator !== ":" && !Number.isNaN(limit)) return compare(operator, value, limit);
  const name = field.enumeration && typeof value === "number" ? field.enumeration.names.get(value)?.toLowerCase() : undefined;
  const text = name ?? (value instanceof Uint8Array ? "" : String(value).toLowerCase());
  if (operator === ":") return text.includes(wanted);
  // Stamps are searched in seconds, as they are shown.
  const number = typeof value === "bigint" ? (field.name.endsWith("_ns") ? Number(value) / 1e9 : Number(value)) : typeof value === "number" ? value : NaN;
  const isEqual = text === wanted || (!Number.isNaN(number) && number === limit);
  if (operator === "=") return isEqual;
  return operator === "!=" ? !isEqual : compare(operator, number, limit);
}

function compare(operator: Condition["operator"], number: number, limit: number): boolean {
  switch (operator) {
    case "=":
      return number === limit;
    case "!=":
      return number !== limit;
    case "<":
      return number < limit;
    case ">":
      return number > limit;
    case "<=":
      return number <= limit;
    default:
      return number >= limit;
  }
}

/** Looks into messages of one type: whether for every condition some value meets it. */
export class ContentTest {
  private readonly parts: [Scanner, Test][];

  constructor(type: MessageSpec, tests: Condition[]) {
    this.parts = tests.map((test) => [new Scanner(type, (field) => isNamed(field, test.name)), (field, value) => holds(field, value, test)]);
  }

  /** Whether such messages have all the fields. */
  get canPass(): boolean {
    return this.parts.every(([scanner]) => scanner.canFind);
  }

  passes(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    return this.parts.every(([scanner, test]) => scanner.some(bytes, start, end, test));
  }
}

const AT_ONCE = 24; // requests for bytes; more messages of a block are had with all its bytes at once
const SLICE_MS = 12; // work at a stretch, so that the page stays alive

/** Of `rows` of a block those that meet all `tests`; null when `isStale` says that nobody waits any more. */
export async function searchContents(run: Run, block: number, messages: Columns, rows: Uint32Array, tests: Condition[], isStale: () => boolean): Promise<Uint32Array | null> {
  const looks = new Map<number, ContentTest | null>(); // by topic
  const lookOf = (row: number): ContentTest | null => {
    const topic = messages.topic![row]!;
    let look = looks.get(topic);
    if (look === undefined) {
      const type = typeOfTopic(run, topic);
      const made = type ? new ContentTest(type, tests) : null;
      looks.set(topic, (look = made?.canPass ? made : null));
    }
    return look;
  };
  const wanted = rows.filter((row) => lookOf(row) !== null);
  const bytes = wanted.length > AT_ONCE ? ((await orNull(run.block("bytes", block)))?.data as Uint8Array | undefined) : undefined;
  if (isStale()) return null;
  const out: number[] = [];
  const elsewhere: number[] = [];
  let sliceEnd = performance.now() + SLICE_MS;
  for (const row of wanted) {
    const start = messages.bytes0![row]!;
    const end = start + messages.size![row]!;
    if (!bytes) {
      elsewhere.push(row);
      continue;
    }
    if (start < 0 || end > bytes.length) continue; // the block's bytes are here, and this one has none
    if (lookOf(row)!.passes(bytes, start, end)) out.push(row);
    if (performance.now() > sliceEnd) {
      await new Promise((resolve) => setTimeout(resolve));
      if (isStale()) return null;
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
  for (let at = 0; at < elsewhere.length; at += AT_ONCE) {
    const some = elsewhere.slice(at, at + AT_ONCE);
    const wires = await Promise.all(some.map((row) => orNull(run.bytes(block, row))));
    if (isStale()) return null;
    some.forEach((row, index) => {
      const wire = wires[index];
      if (wire && lookOf(row)!.passes(wire)) out.push(row);
    });
  }
  return Uint32Array.from(out).sort();
}
