// @vitest-environment happy-dom
// A message beside the one of another run with the same topic, sender and number.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { differences } from "../proto/compare";
import { unfold } from "../proto/unfold";
import { messagesPanel } from "./messages";
import { typeOfTopic } from "./schemas";
import { BATCH_BYTES, MadeUpApp, MadeUpRun, messages, META } from "./synthetic";
import type { Columns } from "../model";
import { twinOf } from "./twin_message";

beforeAll(() => {
  vi.stubGlobal("IntersectionObserver", undefined);
  for (const [name, value] of [["clientHeight", 600], ["clientWidth", 500], ["offsetHeight", 600], ["offsetWidth", 500]] as const)
    Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => value });
});

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 20)); // in turns: a busy machine has more to do in each
};
const always = (): boolean => true;
const line = { t: 1000, topic: 0, sender: 0, seq: 10, size: 38, rows: 2, heard: 4, lost: 2 };

/** The other run: names in another order, the messages of the first block in the second one, one value changed. */
class OtherRun extends MadeUpRun {
  constructor(private readonly wire: Uint8Array, private readonly firstSeq = 10) {
    super({ ...META, topics: ["v2x/spat", "v2x/bsm"], units: [...META.units].reverse() });
  }
  override async block(name: string, block: number): Promise<Columns | null> {
    if (name !== "messages") return name === "bytes" ? { data: this.wire } : super.block(name, block);
    const own = messages(block);
    return { ...own, topic: Uint8Array.from([1, 0, 0, 1]), sender: Uint8Array.from([3, 1, 0, 2]), seq: Uint32Array.from(own.seq!, (seq) => (block === 1 ? seq - 11 + this.firstSeq : seq + 500)), heard: Uint16Array.from([3, 1, 0, 2]), lost: Uint16Array.from([3, 1, 2, 0]) };
  }
  override async bytes(): Promise<Uint8Array | null> {
    return this.wire;
  }
}

const changed = BATCH_BYTES.slice();
changed[24] = 0x20; // 10 m/s -> 8 m/s
changed[36] = 0x6f; // "hi" -> "oi"

describe("the same message in another run", () => {
  it("is found by its names and its number, wherever it lies", async () => {
    expect(await twinOf(new MadeUpApp(new MadeUpRun(), new OtherRun(changed)), line, always)).toEqual({ block: 1, row: 0 });
    expect(await twinOf(new MadeUpApp(new MadeUpRun(), new OtherRun(changed, 77)), line, always)).toBeNull();
    expect(await twinOf(new MadeUpApp(new MadeUpRun(), new MadeUpRun({ ...META, units: ["somebody"] })), line, always)).toBeNull();
    expect(await twinOf(new MadeUpApp(), line, always)).toBeNull();
  });

  it("differs in exactly the values that were changed", () => {
    const type = typeOfTopic(new MadeUpRun(), 0)!;
    expect(differences(unfold(type, BATCH_BYTES), unfold(type, BATCH_BYTES))).toEqual([]);
    expect(differences(unfold(type, BATCH_BYTES), unfold(type, changed))).toEqual([
      { path: "speed_mps[0]", a: "10", b: "8", range: [18, 26] },
      { path: "mode", a: "hi", b: "oi", range: [34, 38] },
    ]);
    const short = BATCH_BYTES.slice(0, 16); // without speeds and mode
    expect(differences(unfold(type, BATCH_BYTES), unfold(type, short)).map((each) => [each.path, each.a, each.b])).toEqual([["speed_mps", "× 2", null], ["mode", "hi", null]]);
    expect(differences(unfold(type, short), unfold(type, BATCH_BYTES)).map((each) => [each.path, each.a, each.b, each.range])).toEqual([["speed_mps", null, "× 2", null], ["mode", null, "hi", null]]);
    const zero = Uint8Array.from([...short, 0x22, 0]); // a text of nothing is as good as none
    expect(differences(unfold(type, zero), unfold(type, short))).toEqual([]);
  });

  it("is shown with its differences marked", async () => {
    const host = document.createElement("div");
    document.body.append(host);
    const app = new MadeUpApp(new MadeUpRun(), new OtherRun(changed));
    messagesPanel.mount(host, app);
    await settle();
    app.selectMessage({ block: 0, row: 0 });
    await settle();
    const twin = host.querySelector(".p-twin")!;
    expect(twin.textContent).toContain("0:31.000 (+30.000 s)");
    expect(twin.textContent).toContain("heard 3 / 6 (Run A 4 / 6)");
    expect(twin.textContent).toContain("2 values differ");
    const marked = [...host.querySelectorAll(".p-fields .p-value-line.p-differs, .p-fields .p-grid-line:not(.p-head) .p-differs")].map((each) => each.textContent);
    expect(marked.sort()).toEqual(["10", "modehioi"]);
    app.language = "zh";
    app.tell("language");
    await settle();
    expect(host.querySelector(".p-twin")!.textContent).toContain("2 个值不同");
  });

  it("may be missing, or the same", async () => {
    for (const [other, words] of [[new OtherRun(BATCH_BYTES), "the same contents"], [new OtherRun(changed, 99), "has no message of this topic"]] as const) {
      const host = document.createElement("div");
      document.body.append(host);
      const app = new MadeUpApp(new MadeUpRun(), other);
      messagesPanel.mount(host, app);
      app.selectMessage({ block: 0, row: 0 });
      await settle();
      expect(host.querySelector(".p-twin")!.textContent).toContain(words);
      expect(host.querySelector(".p-fields .p-differs")).toBeNull();
    }
  });
});
