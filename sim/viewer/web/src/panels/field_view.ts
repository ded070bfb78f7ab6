// A message unfolded: single values as a list, columns of equal length as one table, submessages indented.
// Every element that stands for bytes carries their range in data-start and data-end.
import type { FieldSpec } from "../proto/schema";
import { columnsOf, itemsTable, nameAndUnit, valueText, type ColumnTable } from "../proto/shape";
import type { ByteRange, ListNode, MessageNode, MessagesNode, Node as Unfolded, Value } from "../proto/unfold";
import { el, setText } from "./dom";
import { VirtualRows } from "./virtual_rows";

export interface FieldWords {
  /** Text of the interface. */
  t(key: string): string;
  /** What a value of this field means to a reader ("12 (bus1)"), null when it is just a value. */
  meaning(field: FieldSpec, value: Value): string | null;
  /** What the message compared with says of the value in this range; null when the same. */
  says?(range: ByteRange): string | null;
  /** Whether anything in the range differs from the message compared with. */
  touches?(range: ByteRange): boolean;
}

export interface FieldView {
  root: HTMLElement;
  /** Marks the element that stands for exactly this range, or the smallest one that holds it. */
  mark(range: ByteRange | null): void;
  end(): void;
}

const ROW_PX = 20;
const MAX_TABLE_PX = 320;

export function fieldView(message: MessageNode, words: FieldWords): FieldView {
  const ends: (() => void)[] = [];
  const root = el("div", { class: "p-fields" }, messageBody(message, words, ends));
  let marked: Element | null = null;
  return {
    root,
    mark(range) {
      const found = range ? smallestHolding(root, range) : null;
      if (found === marked) return;
      marked?.classList.remove("p-marked");
      found?.classList.add("p-marked");
      marked = found;
    },
    end: () => ends.forEach((end) => end()),
  };
}

/** Range of the element at or around `target`, null outside of all. */
export function rangeOf(target: EventTarget | null): ByteRange | null {
  const element = (target as HTMLElement | null)?.closest?.("[data-start]") as HTMLElement | null;
  return element ? [Number(element.dataset.start), Number(element.dataset.end)] : null;
}

function smallestHolding(root: HTMLElement, range: ByteRange): Element | null {
  let best: Element | null = null;
  let size = Infinity;
  for (const element of root.querySelectorAll<HTMLElement>("[data-start]")) {
    const start = Number(element.dataset.start);
    const end = Number(element.dataset.end);
    if (start <= range[0] && end >= range[1] && end - start < size) {
      size = end - start;
      best = element;
    }
  }
  return best;
}

function mark(element: HTMLElement, range: ByteRange): void {
  element.dataset.start = String(range[0]);
  element.dataset.end = String(range[1]);
}

/** Marks what differs from the message compared with. */
function markDifference(element: HTMLElement, range: ByteRange, words: FieldWords): void {
  const said = words.says?.(range) ?? null;
  element.classList.toggle("p-differs", said !== null);
  if (said !== null) element.title = `${words.t("compare.second")}: ${said}`;
  else if (words.says) element.removeAttribute("title");
}

function messageBody(message: MessageNode, words: FieldWords, ends: (() => void)[]): HTMLElement {
  const { table, rest } = columnsOf(message);
  const body = el("div", { class: "p-message-body" });
  const list = el("dl", { class: "p-values" });
  const below: HTMLElement[] = [];
  for (const node of rest) {
    if (node.kind === "value") list.append(valueLine(node.field, words.meaning(node.field, node.value) ?? valueText(node.field, node.value), node.range, words));
    else if (node.kind === "list") below.push(loneList(node, words, ends));
    else if (node.kind === "message") below.push(group(node.field?.name ?? "", node.range, messageBody(node, words, ends), words));
    else if (node.kind === "messages") below.push(messagesGroup(node, words, ends));
    else below.push(oddLine(node, words));
  }
  if (list.childElementCount) body.append(list);
  if (table) body.append(columnTable(table, words, ends));
  body.append(...below);
  if (!message.nodes.length) body.append(el("p", { class: "p-muted" }, words.t("fields.empty")));
  return body;
}

function valueLine(field: FieldSpec, text: string, range: ByteRange, words: FieldWords): HTMLElement {
  const [name, unit] = nameAndUnit(field.name);
  const line = el(
    "div",
    { class: "p-value-line", tabindex: 0, title: field.name },
    el("dt", {}, name),
    el("dd", {}, text, unit && !field.name.endsWith("_ns") ? el("span", { class: "p-unit" }, ` ${unit}`) : null),
  );
  mark(line, range);
  const said = words.says?.(range) ?? null;
  if (said !== null) {
    line.classList.add("p-differs");
    line.querySelector("dd")!.append(el("span", { class: "p-other p-changed" }, said));
  }
  return line;
}

function group(title: string, range: ByteRange, content: HTMLElement, words: FieldWords, isOpen = true): HTMLElement {
  const summary = el("summary", { class: words.touches?.(range) ? "p-differs" : null }, title);
  mark(summary, range);
  return el("details", { class: "p-group", open: isOpen }, summary, content);
}

function messagesGroup(node: MessagesNode, words: FieldWords, ends: (() => void)[]): HTMLElement {
  const title = `${node.field.name} × ${node.items.length}`;
  const table = itemsTable(node.items);
  if (table) {
    const { fields, cells } = table;
    const lines = grid(
      fields,
      node.items.length,
      (row, column) => {
        const cell = cells[row]![column];
        if (!cell || cell.kind !== "value") return { text: "–", range: node.items[row]!.range };
        return { text: words.meaning(cell.field, cell.value) ?? valueText(cell.field, cell.value), range: cell.range };
      },
      (row) => node.items[row]!.range,
      words,
      ends,
    );
    return group(title, node.range, lines, words);
  }
  const content = el("div", {});
  const fill = (): void => {
    if (content.childElementCount) return;
    node.items.forEach((item, index) => content.append(lazyGroup(`${node.field.name}[${index}]${nameOf(item)}`, item, words, ends)));
  };
  const element = group(title, node.range, content, words, node.items.length <= 40);
  if (node.items.length <= 40) fill();
  element.addEventListener("toggle", fill);
  return element;
}

/** The first text of a submessage tells which one it is ("lane[3] 1/0/-2"). */
function nameOf(item: MessageNode): string {
  const first = item.nodes.find((node) => node.kind === "value" && typeof node.value === "string");
  return first?.kind === "value" ? ` ${String(first.value)}` : "";
}

function lazyGroup(title: string, item: MessageNode, words: FieldWords, ends: (() => void)[]): HTMLElement {
  const content = el("div", {});
  const element = group(title, item.range, content, words, false);
  element.addEventListener("toggle", () => {
    if (!content.childElementCount) content.append(messageBody(item, words, ends));
  });
  return element;
}

function loneList(node: ListNode, words: FieldWords, ends: (() => void)[]): HTMLElement {
  const [name, unit] = nameAndUnit(node.field.name);
  const preview = node.values.slice(0, 4).map((value) => valueText(node.field, value));
  const title = `${name}${unit ? ` (${unit})` : ""} × ${node.values.length}: ${preview.join(", ")}${node.values.length > 4 ? ", …" : ""}`;
  const content = el("div", {});
  const element = group(title, node.range, content, words, false);
  element.addEventListener("toggle", () => {
    if (!content.childElementCount) content.append(columnTable({ columns: [node], rows: node.values.length }, words, ends));
  });
  return element;
}

function columnTable(table: ColumnTable, words: FieldWords, ends: (() => void)[]): HTMLElement {
  const { columns } = table;
  return grid(
    columns.map((column) => column.field),
    table.rows,
    (row, column) => {
      const list = columns[column]!;
      const value = list.values[row]!;
      return { text: words.meaning(list.field, value) ?? valueText(list.field, value), range: list.ranges[row]! };
    },
    null,
    words,
    ends,
    columns.map((column) => column.range),
  );
}

/** Width of a text in digits: capitals are wider. */
function widthOf(text: string): number {
  return text.length + 0.35 * (text.match(/[A-Z_]/g)?.length ?? 0);
}

interface Cell {
  text: string;
  range: ByteRange;
}

/** A table of which only the visible rows exist. */
function grid(
  fields: FieldSpec[],
  rows: number,
  cellAt: (row: number, column: number) => Cell,
  rowRange: ((row: number) => ByteRange) | null,
  words: FieldWords,
  ends: (() => void)[],
  headRanges: ByteRange[] = [],
): HTMLElement {
  const widths = fields.map((_field, column) => {
    let longest = 4;
    for (let row = 0; row < Math.min(rows, 30); row++) longest = Math.max(longest, widthOf(cellAt(row, column).text));
    const [name, unit] = nameAndUnit(fields[column]!.name);
    return Math.min(34, Math.ceil(Math.max(longest, name.length, unit.length)) + 2);
  });
  const template = `3.2em ${widths.map((width) => `${width}ch`).join(" ")}`;
  const head = el("div", { class: "p-grid-line p-head", role: "row" }, el("span", { role: "columnheader" }, "#"));
  fields.forEach((field, column) => {
    const [name, unit] = nameAndUnit(field.name);
    const cell = el("span", { role: "columnheader", title: field.name }, name, unit && unit !== "ns" ? el("span", { class: "p-unit" }, unit) : null);
    const range = headRanges[column];
    if (range) {
      mark(cell, range);
      cell.classList.toggle("p-differs", words.touches?.(range) ?? false);
    }
    head.append(cell);
  });
  head.style.gridTemplateColumns = template;
  const body = el("div", { role: "rowgroup" });
  const scroller = el("div", { class: "p-grid", role: "table", tabindex: 0, "aria-rowcount": rows + 1 }, head, body);
  scroller.style.height = `${Math.min(MAX_TABLE_PX, 36 + rows * ROW_PX + 14)}px`;
  const width = `calc(3.2em + ${widths.reduce((sum, each) => sum + each, 0)}ch)`;
  head.style.minWidth = width;
  body.style.minWidth = width;
  const list = new VirtualRows(scroller, body, {
    height: ROW_PX,
    create: () => {
      const row = el("div", { class: "p-grid-line", role: "row" }, el("span", { role: "rowheader" }));
      row.style.gridTemplateColumns = template;
      fields.forEach(() => row.append(el("span", { role: "cell" })));
      return row;
    },
    fill: (row, index) => {
      row.setAttribute("aria-rowindex", String(index + 2));
      const header = row.children[0] as HTMLElement;
      setText(header, String(index));
      if (rowRange) mark(header, rowRange(index));
      for (let column = 0; column < fields.length; column++) {
        const cell = row.children[column + 1] as HTMLElement;
        const { text, range } = cellAt(index, column);
        setText(cell, text);
        mark(cell, range);
        markDifference(cell, range, words);
      }
    },
  });
  // The list measures its scroller, which has no size before it is in the page.
  queueMicrotask(() => list.setCount(rows));
  ends.push(() => list.end());
  return scroller;
}

function oddLine(node: Unfolded, words: FieldWords): HTMLElement {
  const text =
    node.kind === "problem" ? `${words.t("fields.problem")} ${node.sentence}` : node.kind === "unknown" ? `${words.t("fields.unknown")} ${node.number}` : "";
  const line = el("p", { class: node.kind === "problem" ? "p-problem" : "p-muted", tabindex: 0 }, text);
  mark(line, node.range);
  return line;
}
