// The message of another run that corresponds to one of this run: same topic, sender and sequence number.
import type { App, Columns } from "../model";
import { differences, type Difference } from "../proto/compare";
import { unfold, type ByteRange, type MessageNode } from "../proto/unfold";
import { el } from "./dom";
import { bytesText, clock, fixed } from "./format";
import { orNull } from "./frame";
import { typeOfTopic } from "./schemas";
import { Traffic, type MessageAt, type MessageLine } from "./traffic";

const MOST_BLOCKS = 60; // looked through for a twin, the nearest in time first
const MOST_LINES = 40; // differences listed; all are marked

/** Row with these numbers in a block, -1 for none. */
export function rowOf(messages: Columns, topic: number, sender: number, seq: number): number {
  const all = messages as Record<string, Columns[string]>;
  for (let row = 0; row < all.seq!.length; row++) if (all.seq![row] === seq && all.topic![row] === topic && all.sender![row] === sender) return row;
  return -1;
}

/** Where the other run has the message, null when it has none. */
export async function twinOf(app: App, line: MessageLine, isCurrent: () => boolean): Promise<MessageAt | null> {
  const other = app.other;
  if (!other) return null;
  const topic = other.meta.topics.indexOf(app.run.meta.topics[line.topic] ?? "");
  const sender = other.meta.units.indexOf(app.run.meta.units[line.sender] ?? "");
  if (topic < 0 || sender < 0) return null;
  const traffic = Traffic.of(other);
  const here = Math.floor(line.t / other.blockMs);
  const order = Array.from({ length: other.numBlocks }, (_, block) => block).sort((a, b) => Math.abs(a - here) - Math.abs(b - here) || a - b);
  for (const block of order.slice(0, MOST_BLOCKS)) {
    const messages = await orNull(traffic.read(block));
    if (!isCurrent()) return null;
    const row = messages ? rowOf(messages, topic, sender, line.seq) : -1;
    if (row >= 0) return { block, row };
  }
  return null;
}

export interface Twin {
  root: HTMLElement;
  /** What B says of the value that stands for exactly this range in A's bytes; null when the same. */
  says(range: ByteRange): string | null;
  /** Whether anything within the range differs. */
  touches(range: ByteRange): boolean;
}

/** What the other run's message says otherwise. `message`: this run's, unfolded; null where its bytes are not here. */
export async function compareWithTwin(app: App, line: MessageLine, message: MessageNode | null, isCurrent: () => boolean): Promise<Twin | null> {
  const other = app.other;
  if (!other) return null;
  const root = el("section", { class: "p-twin", "aria-label": app.t("messages.twin") });
  const none: Twin = { root, says: () => null, touches: () => false };
  const at = await twinOf(app, line, isCurrent);
  if (!isCurrent()) return null;
  const title = el("strong", {}, app.t("compare.second"));
  if (!at) {
    root.classList.add("p-bad");
    root.append(title, " ", app.t("messages.twin.none"));
    return none;
  }
  const twin = Traffic.of(other).line(at)!;
  const bytes = await orNull(other.bytes(at.block, at.row));
  if (!isCurrent()) return null;
  const type = typeOfTopic(other, twin.topic);
  const found = message && bytes && type ? differences(message, unfold(type, bytes)) : null;
  const later = twin.t - line.t;
  const facts = [
    clock(twin.t, 3) + (later === 0 ? "" : ` (${later > 0 ? "+" : "−"}${fixed(Math.abs(later) / 1000, 3)} s)`),
    twin.size === line.size ? "" : bytesText(twin.size),
    twin.rows ? `${app.t("messages.heard")} ${twin.heard} / ${twin.heard + twin.lost}${twin.heard === line.heard && twin.lost === line.lost ? "" : ` (${app.t("compare.first")} ${line.heard} / ${line.heard + line.lost})`}` : "",
  ];
  const isSame = found !== null && found.length === 0;
  const verdict = found === null ? app.t("messages.twin.unknown") : isSame ? app.t("messages.twin.same") : app.t("messages.twin.differs").replace("{n}", String(found.length));
  root.classList.add(isSame && later === 0 ? "p-good" : "p-warn");
  root.append(title, " ", facts.filter(Boolean).join(" · "), " · ", el("span", { class: "p-twin-verdict" }, verdict));
  if (!found?.length) return none;
  root.append(differenceTable(app, found));
  const byRange = new Map(found.flatMap((each) => (each.range ? [[`${each.range[0]}-${each.range[1]}`, each]] : []) as [string, Difference][]));
  const starts = Float64Array.from(found.flatMap((each) => (each.range ? [each.range[0]] : []))).sort();
  return {
    root,
    says: ([start, end]) => {
      const each = byRange.get(`${start}-${end}`);
      return each ? (each.b ?? "–") : null;
    },
    touches: ([start, end]) => starts.some((at) => at >= start && at < end),
  };
}

function differenceTable(app: App, found: Difference[]): HTMLElement {
  const body = el("tbody");
  for (const each of found.slice(0, MOST_LINES)) body.append(el("tr", {}, el("th", { scope: "row" }, each.path), el("td", {}, each.a ?? "–"), el("td", { class: "p-changed" }, each.b ?? "–")));
  const heads = [app.t("messages.fields"), app.t("compare.first"), app.t("compare.second")].map((text) => el("th", { scope: "col" }, text));
  const table = el("table", { class: "p-table" }, el("thead", {}, el("tr", {}, ...heads)), body);
  const more = found.length > MOST_LINES ? el("p", { class: "p-muted" }, app.t("messages.twin.more").replace("{n}", String(found.length - MOST_LINES))) : null;
  return el("div", { class: "p-twin-table" }, table, more);
}
