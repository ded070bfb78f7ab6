// A small made-up run for tests of panels: two vehicles, two roadside units, one block of 30 s and a second one.
import { create, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { App, Columns, Listener, Meta, Run } from "../model";
import { text } from "../i18n";

const field = (name: string, number: number, type: Type, label: Label = Label.OPTIONAL): object => ({ name, number, type, label });
const SET = create(FileDescriptorSetSchema, {
  file: [
    {
      name: "t.proto",
      package: "t",
      syntax: "proto3",
      messageType: [
        {
          name: "Batch",
          field: [
            field("t_ns", 1, Type.INT64),
            field("station_id", 2, Type.FIXED32, Label.REPEATED),
            field("speed_mps", 3, Type.DOUBLE, Label.REPEATED),
            field("mode", 4, Type.STRING),
          ],
        },
      ],
    },
  ],
});

/** t_ns 1 s, stations 1 and 2 at 10 and -2 m/s, mode "hi": 38 bytes. */
export const BATCH_BYTES = Uint8Array.from([
  0x08, 0x80, 0x94, 0xeb, 0xdc, 0x03, 0x12, 8, 1, 0, 0, 0, 2, 0, 0, 0, 0x1a, 16, 0, 0, 0, 0, 0, 0, 0x24, 0x40, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0x22, 2, 0x68, 0x69,
]);

export const META: Meta = {
  scenario: "made_up",
  seed: 7,
  digest: "00ff",
  commit: "abc",
  versions: { icv: "1.0" },
  epoch_ns: "1700000000000000000",
  duration_s: 60,
  tick_ms: 10,
  outcome: "fail",
  sentence: "1 of 2 criteria failed",
  lost: null,
  criteria: [
    { name: "no_collision", passed: true, sentence: "no collisions", value: 0, limit: 0, unit: "", t_s: null, where: "" },
    { name: "comfort/bus1 jerk", passed: false, sentence: "bus1 jerked", value: 4, limit: 3, unit: "m/s3", t_s: 12.5, where: "lane 1" },
  ],
  events: [
    { t_s: 20, kind: "stop", subject: "bus1", text: "bus1 stopped at <b>A</b>", values: { error_m: 0.1 } },
    { t_s: 5, kind: "red_light", subject: "obu/bus1", text: "ran a red light", values: {} },
  ],
  actors: [
    { id: 1, kind: 5, kind_name: "ARTICULATED_BUS", name: "bus1", length: 10, width: 2.5, height: 3, wheelbase: 6, rear_overhang: 2, hitch_x: -1, rear_length: 8 },
    { id: 2, kind: 1, kind_name: "CAR", name: "", length: 4, width: 1.8, height: 1.5, wheelbase: 2.7, rear_overhang: 0.8, hitch_x: 0, rear_length: 0 },
  ],
  vehicles: { bus1: 1 },
  numbers: { bus1: { mean_speed_mps: 7.5 } },
  facts: {},
  units: ["fleet", "obu/bus1", "rsu/J1", "rsu/J2"],
  receivers: ["obu/bus1", "rsu/J1", "rsu/J2"],
  topics: ["v2x/bsm", "v2x/spat"],
  fates: ["UNSPECIFIED", "DELIVERED", "OUT_OF_RANGE", "BELOW_SENSITIVITY", "PROPAGATION", "HALF_DUPLEX", "COLLISION"],
  rsus: [{ name: "rsu/J1", x: 0, y: 0, range_m: 200 }],
  roads: { bounds: [0, 0, 1, 1], lanes: [], stop_lines: [], crossings: [], stations: [], groups: [{ id: "J1/1", name: "J1/1" }, { id: "J1/2", name: "J1/2" }], bays: [], objects: [] },
  lights: ["UNSPECIFIED", "DARK", "RED", "FLASHING_RED", "GREEN_PERMISSIVE", "GREEN_PROTECTED", "YELLOW", "FLASHING_YELLOW"],
  descriptor: btoa(String.fromCharCode(...toBinary(FileDescriptorSetSchema, SET))),
  message_types: { "v2x/bsm": "t.Batch" },
  zh: { "1 of 2 criteria failed": "2 项判据中有 1 项未满足", "bus1 jerked": "bus1 急动", "comfort/bus1 jerk": "乘坐舒适性 · bus1 · 加加速度" },
  budget: { messages: 8, with_bytes: 4, sentence_en: "Bytes beyond the budget are left out.", sentence_zh: "超出预算的字节未收录。" },
  series: [
    { key: "speed", title_en: "speed", title_zh: "速度", unit: "m/s", group: "speed", vehicle: "bus1", row0: 0, rows: 3 },
    { key: "limit", title_en: "limit", title_zh: "限速", unit: "m/s", group: "speed", vehicle: "bus1", row0: 3, rows: 2 },
    { key: "jerk", title_en: "jerk", title_zh: "加加速度", unit: "m/s3", group: "jerk", vehicle: "bus1", row0: 5, rows: 2 },
  ],
};

/** Four messages in block 0 (a batch of two, three singles), the same 30 s later in block 1. */
export function messages(block: number): Columns {
  const start = block * 30_000;
  return {
    t: Uint32Array.from([1000, 1000, 1100, 2000], (t) => t + start),
    topic: Uint8Array.from([0, 1, 1, 0]),
    sender: Uint8Array.from([0, 2, 3, 1]),
    seq: Uint32Array.from([10, 20, 30, 40], (seq) => seq + block),
    size: Uint16Array.from([38, 100, 120, 640]),
    rows: Uint16Array.from([2, 1, 1, 1]),
    heard: Uint16Array.from([4, 1, 0, 2]),
    lost: Uint16Array.from([2, 1, 2, 0]),
    fate0: Uint32Array.from([0, 6, 9, 12]),
    bytes0: Int32Array.from([0, -1, -1, -1]),
  };
}

/** Rows x receivers (bus1, J1, J2) of the messages above. */
export const FATES: Columns = {
  fate: Uint8Array.from([1, 1, 2, 1, 1, 4, /**/ 1, 0, 2, /**/ 2, 6, 0, /**/ 0, 1, 1]),
  latency_us: Uint16Array.from([500, 700, 0, 600, 65535, 0, /**/ 400, 0, 0, /**/ 0, 0, 0, /**/ 0, 300, 900]),
};

export class MadeUpRun implements Run {
  readonly id = "made-up";
  readonly blockMs = 30_000;
  readonly numBlocks = 2;
  constructor(readonly meta: Meta = META) {}

  has(name: string): boolean {
    return ["signals", "series", "messages", "fates", "world", "spat", "trace/bus1", "perceived/rsu/J1"].includes(name);
  }
  async table(name: string): Promise<Columns | null> {
    if (name === "signals") return { t: Uint32Array.from([0, 10_000, 13_000]), light: Uint8Array.from([2, 5, 2, 6, 5, 2]) };
    if (name === "series") return { t: Uint32Array.from([0, 1000, 2000, 0, 2000, 0, 1000]), y: Float32Array.from([0, 5, 8, 12, 10, 1, NaN]) };
    if (name === "trace/bus1") return { t: Uint32Array.from([0, 100]), speed: Float32Array.from([3, 4]), lane: Int32Array.from([5, 6]), s: Float32Array.from([1, 2]), d: Float32Array.from([0, 0.1]) };
    return null;
  }
  async block(name: string, block: number): Promise<Columns | null> {
    if (block > 1) return null;
    if (name === "messages") return messages(block);
    if (name === "fates") return FATES;
    if (name === "bytes") return { data: BATCH_BYTES };
    const t = Uint32Array.from([0, 200, 400, 600, 800, 1000, 1200], (each) => each + block * 30_000);
    if (name === "world") {
      const rows = t.length * 2;
      const alternating = (a: number, b: number): Float32Array => Float32Array.from({ length: rows }, (_, row) => (row % 2 ? b : a));
      return { t, start: Uint32Array.from({ length: t.length + 1 }, (_, frame) => frame * 2), id: Uint32Array.from({ length: rows }, (_, row) => 1 + (row % 2)), x: alternating(10, 50), y: alternating(0, 5), yaw: alternating(0, 0), speed: alternating(4, 9), accel: alternating(0.5, 0), hitch: alternating(0, 0), doors: Int8Array.from({ length: rows }, () => 0) };
    }
    if (name === "perceived/rsu/J1") return { t: t.slice(0, 1), start: Uint32Array.from([0, 2]), x: Float32Array.from([13.3, 99]), y: Float32Array.from([0.4, 9]), yaw: Float32Array.from([0, 0]), speed: Float32Array.from([4.5, 1]), length: Float32Array.from([10, 4]), width: Float32Array.from([2, 2]), sigma: Float32Array.from([0.3, 0.3]), kind: Uint8Array.from([4, 1]) };
    if (name === "spat") return { t: Uint32Array.from([0, 0, 1000, 1000], (each) => each + block * 30_000), group: Uint16Array.from([0, 1, 0, 1]), light: Uint8Array.from([2, 5, 2, 5]), remaining: Float32Array.from([10, 13, 9, -1]) };
    return null;
  }
  async bytes(_block: number, row: number): Promise<Uint8Array | null> {
    return row === 0 ? BATCH_BYTES : null;
  }
}

/** What the page is to a panel, without a page. */
export class MadeUpApp implements App {
  timeMs = 1000;
  playing = false;
  language: "en" | "zh" = "en";
  selected: number | null = null;
  selectedUnit: string | null = null;
  selectedMessage: { block: number; row: number } | null = null;
  private readonly listeners = new Map<string, Set<Listener>>();
  constructor(
    readonly run: Run = new MadeUpRun(),
    readonly other: Run | null = null,
  ) {}

  tell(what: string): void {
    for (const listener of this.listeners.get(what) ?? []) listener();
  }
  seek(timeMs: number): void {
    this.timeMs = timeMs;
    this.tell("time");
  }
  select(actor: number | null): void {
    this.selected = actor;
    this.tell("selection");
  }
  selectUnit(unit: string | null): void {
    this.selectedUnit = unit;
    this.tell("selection");
  }
  selectMessage(message: { block: number; row: number } | null): void {
    this.selectedMessage = message;
    this.tell("message");
  }
  t(key: string): string {
    return text(this.language, key);
  }
  on(what: string, listener: Listener): () => void {
    const all = this.listeners.get(what) ?? new Set<Listener>();
    this.listeners.set(what, all.add(listener));
    return () => all.delete(listener);
  }
}
