// What a run looks like to the page: the contract between where data comes from (data/) and what shows it (scene/, panels/).

export type Column = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;
export type Columns = Record<string, Column>;

export interface Criterion { name: string; passed: boolean; sentence: string; value: number | null; limit: number | null; unit: string; t_s: number | null; where: string }
export interface RunEvent { t_s: number; kind: string; subject: string; text: string; values: Record<string, number> }
export interface Actor { id: number; kind: number; kind_name: string; name: string; length: number; width: number; height: number; wheelbase: number; rear_overhang: number; hitch_x: number; rear_length: number }
export interface Series { key: string; title_en: string; title_zh: string; unit: string; group: string; vehicle: string; row0: number; rows: number }
export type Point = [number, number];
export interface Lane { kind: string; left: Point[]; right: Point[]; marks: [string, string] }
export interface Roads {
  bounds: [number, number, number, number];
  lanes: Lane[];
  stop_lines: { group: number; a: Point; b: Point }[];
  crossings: Point[][];
  stations: { name: string; poly: Point[] }[];
  groups: { id: string; name: string }[];
  bays: Point[][];
  objects: Point[][];
}
export interface Meta {
  scenario: string; seed: number; digest: string; commit: string; versions: Record<string, string>; epoch_ns: string; duration_s: number; tick_ms: number;
  outcome: string; sentence: string; lost: string | null;
  criteria: Criterion[]; events: RunEvent[]; actors: Actor[]; vehicles: Record<string, number>; numbers: Record<string, Record<string, number>>; facts: Record<string, unknown>;
  units: string[]; receivers: string[]; topics: string[]; fates: string[]; rsus: { name: string; x: number; y: number; range_m: number }[];
  roads: Roads; lights: string[]; descriptor: string; message_types: Record<string, string>;
  budget: { messages: number; with_bytes: number; sentence_en: string; sentence_zh: string }; series: Series[];
  zh: Record<string, string>; // recorded English -> Chinese: sentences, names of criteria and metrics, texts of events
}

/** One run. Tables come on demand; `table` gives null for one that this run does not have. */
export interface Run {
  readonly id: string;
  readonly meta: Meta;
  readonly blockMs: number;
  readonly numBlocks: number;
  has(name: string): boolean;
  /** A table of the whole run. */
  table(name: string): Promise<Columns | null>;
  /** The part of a table in block `block`; cached, the last few stay. */
  block(name: string, block: number): Promise<Columns | null>;
  /** Wire bytes of message `row` of messages/<block>; from the server where the pack has none; null where they cannot be had. */
  bytes(block: number, row: number): Promise<Uint8Array | null>;
}

export type Listener = () => void;

/** What the whole page shares. Panels subscribe; they never talk to each other. */
export interface App {
  readonly run: Run;
  readonly other: Run | null; // the run compared with
  readonly timeMs: number;
  readonly playing: boolean;
  readonly language: "en" | "zh";
  readonly selected: number | null; // actor id
  readonly selectedUnit: string | null;
  readonly selectedMessage: { block: number; row: number } | null;
  seek(timeMs: number): void; // clamps, tells "time"
  select(actor: number | null): void;
  selectUnit(unit: string | null): void;
  selectMessage(message: { block: number; row: number } | null): void;
  t(key: string): string; // text in the current language; keys in i18n.ts
  /** "time" comes at most once a frame; "live" when a run in progress has grown. Returns how to stop. */
  on(what: "time" | "selection" | "message" | "language" | "live", listener: Listener): () => void;
}

/** A panel draws itself into `host` and keeps itself current through `app.on`. */
export type Panel = { readonly key: string; mount(host: HTMLElement, app: App): void };
