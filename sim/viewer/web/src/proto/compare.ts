// Where two messages of one type say different things: field by field, row by row.
import { valueText } from "./shape";
import type { ByteRange, ListNode, MessageNode, Node, Value } from "./unfold";

export interface Difference {
  path: string; // "lane[3].speed_mps"
  a: string | null; // null: not there
  b: string | null;
  range: ByteRange | null; // of the value in A's bytes; null where A has none
}

const MOST = 5000; // more than anybody looks at

/** What `b` says otherwise than `a`; at most a few thousand places. */
export function differences(a: MessageNode, b: MessageNode): Difference[] {
  const out: Difference[] = [];
  compareMessages(a, b, "", out);
  return out.slice(0, MOST);
}

function keyOf(node: Node): string {
  return node.kind === "problem" ? "?" : node.kind === "unknown" ? `#${node.number}` : String(node.field?.number ?? 0);
}

function compareMessages(a: MessageNode, b: MessageNode, path: string, out: Difference[]): void {
  const others = new Map(b.nodes.map((node) => [keyOf(node), node]));
  for (const node of a.nodes) {
    const key = keyOf(node);
    compareNodes(node, others.get(key) ?? null, path, out);
    others.delete(key);
    if (out.length > MOST) return;
  }
  for (const node of others.values()) compareNodes(null, node, path, out);
}

function nameOf(node: Node): string {
  return node.kind === "problem" ? "?" : node.kind === "unknown" ? `#${node.number}` : (node.field?.name ?? "");
}

/** Everything about a node in a few words. */
function summary(node: Node): string {
  if (node.kind === "value") return valueText(node.field, node.value);
  if (node.kind === "list") return `× ${node.values.length}`;
  if (node.kind === "messages") return `× ${node.items.length}`;
  return "…";
}

function compareNodes(a: Node | null, b: Node | null, before: string, out: Difference[]): void {
  const name = nameOf((a ?? b)!);
  const path = before ? `${before}.${name}` : name;
  if (!a || !b || a.kind !== b.kind) {
    if (isDefault(a) && isDefault(b)) return;
    out.push({ path, a: a && summary(a), b: b && summary(b), range: a?.range ?? null });
  } else if (a.kind === "value" && b.kind === "value") {
    if (!isSame(a.value, b.value)) out.push({ path, a: summary(a), b: summary(b), range: a.range });
  } else if (a.kind === "list" && b.kind === "list") compareLists(a, b, path, out);
  else if (a.kind === "message" && b.kind === "message") compareMessages(a, b, path, out);
  else if (a.kind === "messages" && b.kind === "messages") {
    for (let i = 0; i < Math.max(a.items.length, b.items.length) && out.length <= MOST; i++) {
      const [x, y] = [a.items[i], b.items[i]];
      if (x && y) compareMessages(x, y, `${path}[${i}]`, out);
      else out.push({ path: `${path}[${i}]`, a: x ? "…" : null, b: y ? "…" : null, range: x?.range ?? null });
    }
  }
}

/** Whether a value that may be left out of the wire stands for nothing. */
function isDefault(node: Node | null): boolean {
  if (node === null) return true;
  return node.kind === "value" && (node.value === 0 || node.value === 0n || node.value === false || node.value === "");
}

function compareLists(a: ListNode, b: ListNode, path: string, out: Difference[]): void {
  for (let i = 0; i < Math.max(a.values.length, b.values.length) && out.length <= MOST; i++) {
    const x = i < a.values.length ? a.values[i]! : null;
    const y = i < b.values.length ? b.values[i]! : null;
    if (x !== null && y !== null && isSame(x, y)) continue;
    out.push({ path: `${path}[${i}]`, a: x === null ? null : valueText(a.field, x), b: y === null ? null : valueText(b.field, y), range: a.ranges[i] ?? null });
  }
}

function isSame(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return a.length === b.length && a.every((byte, i) => byte === b[i]);
  return Object.is(a, b) || a === b;
}
