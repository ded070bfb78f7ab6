// The runs that the viewer's server offers: searched, filtered, sorted; one is opened, or two are compared.
import { choice, el, searchBox, setText } from "./dom";
import { bytesText, clock, outcomeText } from "./format";
import { panelOf } from "./frame";

/** What `api/runs` says of a run; all but the id may be missing. */
export interface RunLine {
  id: string;
  scenario: string;
  seed: string;
  outcome: string;
  sentence: string;
  sentence_zh: string;
  digest: string;
  path: string;
  duration_s: number;
  size: number; // bytes
  time: number; // ms since 1970, when it was written; NaN unknown
}

/** The lines in what the server sent; anything that is no run is left out. */
export function runLines(answer: unknown): RunLine[] {
  const list = Array.isArray(answer) ? answer : ((answer as { runs?: unknown } | null)?.runs ?? []);
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    if (typeof item !== "object" || item === null) return [];
    const of = item as Record<string, unknown>;
    if (typeof of.id !== "string") return [];
    const text = (...names: string[]): string => {
      const value = names.map((name) => of[name]).find((each) => typeof each === "string" || typeof each === "number");
      return value === undefined ? "" : String(value);
    };
    const number = (...names: string[]): number => Number(names.map((name) => of[name]).find((each) => typeof each === "number") ?? NaN);
    const time = text("time", "written", "mtime", "modified", "date", "started");
    return [
      {
        id: of.id,
        scenario: text("scenario", "scene", "name") || of.id,
        seed: text("seed"),
        outcome: of.live === true ? "live" : text("outcome"),
        sentence: text("sentence"),
        sentence_zh: text("sentence_zh"),
        digest: text("digest"),
        path: text("path", "log"),
        duration_s: number("duration_s"),
        size: number("size", "size_bytes", "bytes"),
        time: moment(time),
      },
    ];
  });
}

/** A moment as seconds or milliseconds since 1970 or as text, in ms. */
function moment(text: string): number {
  if (text === "") return NaN;
  const number = Number(text);
  if (Number.isNaN(number)) return Date.parse(text);
  return number < 1e11 ? number * 1000 : number;
}

export interface RunFilter {
  text: string;
  outcome: string;
  sort: keyof RunLine;
  isDescending: boolean;
}

/** Runs that pass, sorted; unknown numbers come last either way. */
export function arrange(runs: RunLine[], filter: RunFilter): RunLine[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const sign = filter.isDescending ? -1 : 1;
  return runs
    .filter((run) => {
      if (filter.outcome && run.outcome !== filter.outcome) return false;
      const all = `${run.id} ${run.scenario} seed=${run.seed} ${run.outcome} ${run.sentence} ${run.sentence_zh} ${run.digest} ${run.path}`.toLowerCase();
      return words.every((word) => all.includes(word));
    })
    .sort((a, b) => {
      const x = a[filter.sort];
      const y = b[filter.sort];
      if (typeof x === "number" && typeof y === "number") {
        if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
        return (x - y) * sign || a.id.localeCompare(b.id);
      }
      return String(x).localeCompare(String(y), undefined, { numeric: true }) * sign || a.id.localeCompare(b.id);
    });
}

/** The page's address with these runs open. */
export function runAddress(first: string, second: string | null): string {
  const query = new URLSearchParams({ run: first });
  if (second) query.set("other", second);
  return `?${query.toString()}`;
}

/** What the list needs of the page. */
export interface Words {
  readonly language: "en" | "zh";
  t(key: string): string;
  readonly run?: { readonly id: string };
  readonly other?: { readonly id: string } | null;
}

const HEADS: [key: keyof RunLine, label: string][] = [
  ["scenario", "runs.scenario"],
  ["outcome", "runs.outcome"],
  ["seed", "runs.seed"],
  ["duration_s", "runs.duration"],
  ["time", "runs.time"],
  ["size", "runs.size"],
  ["digest", "runs.digest"],
];

const AGAIN_MS = 3000; // the list is asked for again
const MAX_LINES = 1000; // rows in the page at once; the search reaches all

interface Memory extends RunFilter {
  chosen: string[];
}

const fresh = (): Memory => ({ text: "", outcome: "", sort: "time", isDescending: true, chosen: [] });

/** The list on its own, as the page shows it while no run is chosen. `fetchRuns` gives what `api/runs` answers. */
export function mountRunList(host: HTMLElement, words: Words, fetchRuns: () => Promise<unknown> = askServer, memory: Memory = fresh(), onEnd: (end: () => void) => void = () => undefined): void {
  host.classList.add("p-panel", "p-runs");
  let runs: RunLine[] = [];
  let shownCount = 0;
  const count = el("span", { class: "p-muted", role: "status" }, words.t("loading"));
  const compare = el("a", { class: "p-button", role: "link", "aria-disabled": "true" }, words.t("runs.compare"));
  const body = el("tbody");
  const head = el("tr", {}, el("th", { scope: "col" }, el("span", { class: "p-offscreen" }, words.t("runs.choose"))));
  const table = el("table", { class: "p-table p-run-table" }, el("caption", { class: "p-offscreen" }, words.t("panel.runs")), el("thead", {}, head), body);
  const outcomes = el("span", {});
  for (const [key, label] of HEADS) {
    const cell = el("th", { scope: "col" });
    const button = el("button", { type: "button", class: "p-link" }, words.t(label));
    button.addEventListener("click", () => {
      memory.isDescending = memory.sort === key ? !memory.isDescending : key === "time" || key === "size" || key === "duration_s";
      memory.sort = key;
      draw();
    });
    cell.append(button);
    cell.dataset.key = key;
    head.append(cell);
  }
  host.replaceChildren(
    el(
      "div",
      { class: "p-tools" },
      searchBox(words.t("filter.search"), memory.text, (text) => {
        memory.text = text;
        draw();
      }),
      outcomes,
      compare,
      count,
    ),
    el("div", { class: "p-list p-run-list" }, table),
  );

  function draw(): void {
    const shown = arrange(runs, memory);
    for (const cell of head.querySelectorAll<HTMLElement>("th[data-key]"))
      cell.setAttribute("aria-sort", cell.dataset.key === memory.sort ? (memory.isDescending ? "descending" : "ascending") : "none");
    const { activeElement } = host.ownerDocument;
    const held = activeElement instanceof HTMLElement && body.contains(activeElement) ? [activeElement.tagName, activeElement.closest("tr")?.dataset.run] : null;
    body.replaceChildren(...shown.slice(0, MAX_LINES).map(line));
    if (held) [...body.querySelectorAll("tr")].find((row) => row.dataset.run === held[1])?.querySelector<HTMLElement>(held[0]!)?.focus();
    shownCount = shown.length;
    drawCount();
    drawCompare();
  }

  function drawCount(): void {
    setText(count, words.t("list.count").replace("{shown}", String(shownCount)).replace("{all}", String(runs.length)));
  }

  function drawCompare(): void {
    const [first, second] = memory.chosen;
    const isReady = first !== undefined && second !== undefined;
    compare.setAttribute("aria-disabled", String(!isReady));
    if (isReady) compare.setAttribute("href", runAddress(first, second));
    else compare.removeAttribute("href");
    for (const box of body.querySelectorAll<HTMLInputElement>("input")) {
      const place = memory.chosen.indexOf(box.value);
      box.checked = place >= 0;
      setText(box.nextElementSibling!, place < 0 ? "" : "AB"[place]!);
    }
  }

  function line(run: RunLine): HTMLElement {
    const box = el("input", { type: "checkbox", value: run.id, "aria-label": `${words.t("runs.choose")}: ${run.scenario} ${run.id}` });
    box.addEventListener("change", () => {
      memory.chosen = memory.chosen.filter((id) => id !== run.id);
      if (box.checked) memory.chosen = [...memory.chosen.slice(-1), run.id];
      drawCompare();
    });
    const tone = run.outcome === "pass" ? "good" : run.outcome === "fail" ? "bad" : run.outcome === "live" ? "accent" : "warn";
    const sentence = run.outcome === "live" ? words.t("live.sentence") : (words.language === "zh" && run.sentence_zh) || run.sentence;
    const isOpen = words.run?.id === run.id || words.other?.id === run.id;
    return el(
      "tr",
      { class: isOpen ? "p-open" : null, "aria-current": isOpen ? "true" : null, "data-run": run.id },
      el("td", { class: "p-choose" }, box, el("span", { class: "p-ab" })),
      el("th", { scope: "row" }, el("a", { href: runAddress(run.id, null), class: "p-run", title: run.scenario }, run.scenario), el("span", { class: "p-muted p-path", title: run.path || run.id }, run.path || run.id)),
      el("td", {}, run.outcome ? el("span", { class: `p-tag p-${tone}` }, outcomeText(words, run.outcome)) : "–", el("span", { class: "p-muted p-path", title: sentence }, sentence)),
      el("td", { class: "p-number" }, run.seed),
      el("td", { class: "p-number" }, Number.isNaN(run.duration_s) ? "–" : clock(run.duration_s * 1000, 0)),
      el("td", { class: "p-number" }, Number.isNaN(run.time) ? "–" : new Date(run.time).toISOString().slice(0, 19).replace("T", " ")),
      el("td", { class: "p-number" }, Number.isNaN(run.size) ? "–" : bytesText(run.size)),
      el("td", { class: "p-code", title: run.digest }, run.digest.slice(0, 12)),
    );
  }

  const none = el("p", { class: "p-muted" }, words.t("runs.none"));
  none.hidden = true;
  host.append(none);
  let known = "";

  function take(answer: unknown): void {
    const now = JSON.stringify(answer);
    if (now === known) return drawCount(); // nothing to draw anew under somebody's hands
    known = now;
    runs = runLines(answer);
    const names = [...new Set(runs.map((run) => run.outcome))].filter(Boolean).sort();
    outcomes.replaceChildren(
      choice(words.t("runs.outcome"), [["", words.t("filter.all")], ...names.map((name): [string, string] => [name, outcomeText(words, name)])], memory.outcome, (value) => {
        memory.outcome = value;
        draw();
      }),
    );
    draw();
    none.hidden = runs.length > 0;
  }

  // Runs begin and end while somebody looks. A long list takes the server longer: then it is asked less often.
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  onEnd(() => {
    isOver = true;
    clearTimeout(timer);
  });
  const ask = async (): Promise<void> => {
    const began = performance.now();
    if (host.ownerDocument.visibilityState !== "hidden" && (known === "" || host.clientHeight > 0))
      try {
        const answer = await fetchRuns();
        if (!isOver) take(answer);
      } catch (error) {
        if (!isOver) setText(count, `${words.t("runs.unreachable")} ${error instanceof Error ? error.message : String(error)}`);
      }
    if (!isOver && host.isConnected) timer = setTimeout(() => void ask(), Math.max(AGAIN_MS, 10 * (performance.now() - began)));
  };
  void ask();
}

async function askServer(): Promise<unknown> {
  const answer = await fetch("api/runs");
  if (!answer.ok) throw new Error(`api/runs: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

/** The same list beside an open run. */
export const runsPanel = panelOf<Memory>("runs", fresh, ({ host, app, onEnd }, memory) => mountRunList(host, app, askServer, memory, onEnd));
