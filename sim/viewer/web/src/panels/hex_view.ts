// Bytes as hex and ASCII, sixteen a line; a range can be marked, and pointing at a byte tells which.
import type { ByteRange } from "../proto/unfold";
import { el, setText } from "./dom";
import { VirtualRows } from "./virtual_rows";

const PER_LINE = 16;

export interface HexLine {
  offset: string;
  hex: string[]; // two digits each
  ascii: string[]; // one character each, "·" for what cannot be shown
}

export function hexLine(bytes: Uint8Array, line: number): HexLine {
  const start = line * PER_LINE;
  const part = Array.from(bytes.subarray(start, start + PER_LINE));
  return {
    offset: start.toString(16).padStart(4, "0"),
    hex: part.map((byte) => byte.toString(16).padStart(2, "0")),
    ascii: part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")),
  };
}

/** All bytes as hex digits, as tools take them. */
export function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface HexView {
  root: HTMLElement;
  mark(range: ByteRange | null, isRevealed: boolean): void;
  end(): void;
}

/** `point` hears of the byte under the mouse, null when it leaves; `pick` of a click. */
export function hexView(bytes: Uint8Array, label: string, point: (at: number | null) => void, pick: (at: number) => void): HexView {
  let marked: ByteRange | null = null;
  const body = el("div");
  const root = el("div", { class: "p-hex", tabindex: 0, role: "group", "aria-label": label }, body);
  const rows = new VirtualRows(root, body, {
    height: 18,
    create: () => {
      const row = el("div", { class: "p-hex-line" }, el("span", { class: "p-offset" }));
      for (const kind of ["p-byte", "p-char"]) for (let i = 0; i < PER_LINE; i++) row.append(el("span", { class: kind }));
      return row;
    },
    fill: (row, index) => {
      const line = hexLine(bytes, index);
      row.dataset.line = String(index);
      setText(row.children[0]!, line.offset);
      for (let i = 0; i < PER_LINE; i++) {
        const at = index * PER_LINE + i;
        const isMarked = marked !== null && at >= marked[0] && at < marked[1];
        for (const [child, text] of [
          [row.children[1 + i]!, line.hex[i]],
          [row.children[1 + PER_LINE + i]!, line.ascii[i]],
        ] as const) {
          setText(child, text ?? "");
          child.classList.toggle("p-marked", isMarked);
        }
      }
    },
  });
  rows.setCount(Math.ceil(bytes.length / PER_LINE));
  const byteAt = (event: Event): number | null => {
    const cell = event.target as HTMLElement;
    const row = cell.parentElement;
    const line = row?.dataset.line;
    if (!row || line === undefined) return null;
    const column = Array.prototype.indexOf.call(row.children, cell) - 1;
    if (column < 0) return null;
    const at = Number(line) * PER_LINE + (column % PER_LINE);
    return at < bytes.length ? at : null;
  };
  root.addEventListener("mouseover", (event) => point(byteAt(event)));
  root.addEventListener("mouseleave", () => point(null));
  root.addEventListener("click", (event) => {
    const at = byteAt(event);
    if (at !== null) pick(at);
  });
  return {
    root,
    mark(range, isRevealed) {
      if (range?.[0] === marked?.[0] && range?.[1] === marked?.[1]) return;
      marked = range;
      rows.refill();
      if (range && isRevealed) rows.reveal(Math.floor(range[0] / PER_LINE), "auto");
    },
    end: () => rows.end(),
  };
}
