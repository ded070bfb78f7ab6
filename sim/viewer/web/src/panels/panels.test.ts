// @vitest-environment happy-dom
// Panels in a page: they show what the run says, act on clicks, survive a change of language, and draw data as text.
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { aboutPanel } from "./about";
import { actorPanel } from "./actor";
import { criteriaPanel } from "./criteria";
import { eventsPanel, eventText, isNotable } from "./events";
import { messagesPanel } from "./messages";
import { padded, sharedWords } from "./plots";
import { mountRunList } from "./runs";
import { signalsPanel, splitName } from "./signals";
import { MadeUpApp, MadeUpRun, META } from "./synthetic";
import type { Panel } from "../model";
import { panelStrings } from "../i18n/panels";

// The page of the tests has no layout: everything is as large as this.
beforeAll(() => {
  vi.stubGlobal("IntersectionObserver", undefined); // nor does anything come into view
  for (const [name, value] of [["clientHeight", 600], ["clientWidth", 500], ["offsetHeight", 600], ["offsetWidth", 500]] as const)
    Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => value });
});
afterEach(() => document.body.replaceChildren());

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 20)); // in turns: a busy machine has more to do in each
};

async function mounted(panel: Panel, app = new MadeUpApp()): Promise<{ host: HTMLElement; app: MadeUpApp }> {
  const host = document.createElement("div");
  document.body.append(host);
  panel.mount(host, app);
  await settle();
  return { host, app };
}

const rowsOf = (host: HTMLElement): string[] =>
  [...host.querySelectorAll<HTMLElement>(".p-messages-list .p-message:not(.p-head)")].filter((row) => row.style.display !== "none").map((row) => [...row.children].map((cell) => cell.textContent).join("|"));

describe("verdict", () => {
  it("puts the failure first; a click goes to its moment and vehicle", async () => {
    const { host, app } = await mounted(criteriaPanel);
    const first = host.querySelector(".p-criteria li")!;
    expect(first.textContent).toContain("bus1 jerked");
    expect(first.textContent).toContain("4 m/s³");
    first.querySelector("button")!.click();
    expect([app.timeMs, app.selected]).toEqual([12_500, 1]);
    expect(host.querySelector("table")!.textContent).toContain("mean speed (m/s)");
  });

  it("changes its language", async () => {
    const { host, app } = await mounted(criteriaPanel);
    app.language = "zh";
    app.tell("language");
    expect(host.textContent).toContain("未通过");
    expect(host.querySelectorAll(".p-criteria")).toHaveLength(1);
    expect(host.querySelector(".p-banner .p-sentence")!.textContent).toBe("2 项判据中有 1 项未满足");
    const [first, second] = [...host.querySelectorAll(".p-criteria li")].map((item) => [item.querySelector(".p-sentence")!.textContent, item.querySelector(".p-criterion-name")!.textContent]);
    expect(first).toEqual(["bus1 急动", "乘坐舒适性 · bus1 · 加加速度"]);
    expect(second).toEqual(["no collisions", "no_collision"]); // nobody has translated these
  });
});

describe("events", () => {
  it("show data as text, never as markup, and seek", async () => {
    const { host, app } = await mounted(eventsPanel);
    expect(host.querySelector("b")).toBeNull();
    const rows = [...host.querySelectorAll<HTMLElement>(".p-event")];
    expect(rows.map((row) => row.children[0]!.textContent)).toEqual(["0:05.0", "0:20.0"]);
    expect(rows[1]!.textContent).toContain("<b>A</b>");
    rows[0]!.click();
    expect([app.timeMs, app.selected]).toEqual([5000, 1]);
  });
});

describe("messages", () => {
  it("list all, follow the playhead and filter", async () => {
    const { host, app } = await mounted(messagesPanel);
    expect(rowsOf(host)).toHaveLength(8);
    expect(rowsOf(host)[0]).toBe("0:01.00|v2x/bsm|fleet|10|38 B|2|4|2");
    const now = (): string | undefined => host.querySelector<HTMLElement>('[data-time="now"]')?.children[3]!.textContent ?? undefined;
    expect(now()).toBe("20");
    app.seek(2500);
    await settle();
    expect(now()).toBe("40");
    const receiver = host.querySelector<HTMLSelectElement>('select[aria-label="Receiver"]')!;
    receiver.value = "0";
    receiver.dispatchEvent(new Event("change"));
    const outcome = host.querySelector<HTMLSelectElement>('select[aria-label="Reception"]')!;
    outcome.value = "lost";
    outcome.dispatchEvent(new Event("change"));
    await settle();
    expect(rowsOf(host).map((row) => row.split("|")[3])).toEqual(["30", "31"]);
    app.language = "zh";
    app.tell("language");
    await settle();
    expect(rowsOf(host)).toHaveLength(2); // filters stay
  });

  it("open: who heard it, who did not and why, fields and bytes that know each other", async () => {
    const { host, app } = await mounted(messagesPanel);
    host.querySelector<HTMLElement>(".p-message:not(.p-head)")!.click();
    expect(app.selectedMessage).toEqual({ block: 0, row: 0 });
    await settle();
    const receivers = [...host.querySelectorAll(".p-receivers tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent).join("|"));
    expect(receivers).toEqual(["obu/bus1|2 / 2|0.50 – 0.60 ms|0:01.001|", "rsu/J1|2 / 2|0.70 – 65.53 ms|0:01.001|", "rsu/J2|0 / 2|||out of range × 1, too weak (random loss) × 1"]);
    const details = host.querySelector<HTMLElement>(".p-details .p-group")! as HTMLDetailsElement;
    details.open = true;
    details.dispatchEvent(new Event("toggle"));
    const matrix = [...host.querySelectorAll(".p-matrix [role=rowgroup] [role=row]")].map((row) => [...row.children].map((cell) => cell.textContent).join("|"));
    expect(matrix).toEqual(["1 (bus1)|0.50 ms|0.70 ms|out of range", "2|0.60 ms|65.53 ms|too weak (random loss)"]);
    const speed = [...host.querySelectorAll<HTMLElement>(".p-fields [role=cell]")].find((cell) => cell.textContent === "-2")!;
    speed.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    const marked = [...host.querySelectorAll(".p-hex .p-byte.p-marked")].map((cell) => cell.textContent);
    expect(marked).toEqual(["00", "00", "00", "00", "00", "00", "00", "c0"]);
    expect(host.querySelector(".p-place")!.textContent).toContain("speed_mps[1]");
    host.querySelectorAll<HTMLElement>(".p-hex .p-byte")[2]!.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    expect(host.querySelector(".p-place")!.textContent).toContain("t_ns");
    expect(host.querySelector(".p-fields .p-value-line.p-marked")!.textContent).toBe("t1 s");
  });

  it("say why bytes are missing", async () => {
    const { host, app } = await mounted(messagesPanel);
    app.selectMessage({ block: 0, row: 2 });
    await settle();
    expect(host.querySelector(".p-details")!.textContent).toContain(META.budget.sentence_en);
    expect(host.querySelector(".p-hex")).toBeNull();
    app.selectMessage(null);
    await settle();
    expect(host.querySelector<HTMLElement>(".p-details")!.hidden).toBe(true);
  });

  it("move by keys", async () => {
    const { host, app } = await mounted(messagesPanel);
    const list = host.querySelector<HTMLElement>(".p-messages-list")!;
    const press = (key: string): boolean => list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    press("ArrowDown");
    expect(app.selectedMessage).toEqual({ block: 0, row: 2 });
    press("End");
    expect(app.selectedMessage).toEqual({ block: 1, row: 3 });
    press("Escape");
    expect(app.selectedMessage).toBeNull();
  });

  it("survive a descriptor that cannot be read", async () => {
    const { host, app } = await mounted(messagesPanel, new MadeUpApp(new MadeUpRun({ ...META, descriptor: "AAAA" })));
    app.selectMessage({ block: 0, row: 0 });
    await settle();
    expect(host.querySelector(".p-hex")).not.toBeNull();
    expect(host.textContent).toContain(panelStrings.en["messages.no_schema"]!);
  });
});

describe("actor", () => {
  it("is shown with what others believe and what its unit heard", async () => {
    const { host, app } = await mounted(actorPanel);
    app.select(1);
    await settle();
    const text = host.textContent!;
    expect(text).toContain("articulated bus");
    expect(host.querySelector(".p-actor-view table tbody tr")!.textContent).toContain("rsu/J1");
    const heard = [...host.querySelectorAll<HTMLElement>(".p-talk")][1]!;
    expect([...heard.querySelectorAll<HTMLElement>("tbody tr")].filter((row) => !row.hidden)).toHaveLength(0); // all arrive later
    app.seek(1003);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const rows = [...heard.querySelectorAll<HTMLElement>("tbody tr")].filter((row) => !row.hidden).map((row) => [...row.children].map((cell) => cell.textContent).join("|"));
    expect(rows).toEqual(["v2x/bsm|fleet|3 ms|0.50 ms|", "v2x/spat|rsu/J1|3 ms|0.40 ms|"]);
    heard.querySelector<HTMLElement>("tbody button")!.click();
    expect(app.selectedMessage).toEqual({ block: 0, row: 0 });
  });

  it("may be a unit", async () => {
    const { host, app } = await mounted(actorPanel);
    app.selectUnit("rsu/J1");
    await settle();
    expect(host.querySelector("h3")!.textContent).toBe("rsu/J1");
    expect(host.textContent).toContain("200 m");
  });
});

describe("signals", () => {
  it("show truth beside what SPAT says", async () => {
    const { host } = await mounted(signalsPanel);
    const rows = [...host.querySelectorAll<HTMLElement>(".p-signal:not(.p-head)")].map((row) => [...row.children].slice(0, 4).map((cell) => cell.textContent).join("|"));
    expect(rows).toEqual(["J1/1|red|12.0 s|9.0 s", "J1/2|green|9.0 s|?"]);
    expect(host.querySelectorAll('[data-tone="warn"]')).toHaveLength(1); // 9 s said, 12 s true
  });
});

describe("runs", () => {
  it("are chosen in pairs", async () => {
    const host = document.createElement("div");
    document.body.append(host);
    mountRunList(host, new MadeUpApp(), async () => [{ id: "a", outcome: "pass" }, { id: "b", outcome: "fail" }, { id: "c", outcome: "fail" }]);
    await settle();
    const boxes = (): HTMLInputElement[] => [...host.querySelectorAll<HTMLInputElement>("tbody input")];
    const link = host.querySelector<HTMLAnchorElement>("a.p-button")!;
    expect(link.hasAttribute("href")).toBe(false);
    for (const index of [0, 2, 1]) {
      const box = boxes()[index]!;
      box.checked = true;
      box.dispatchEvent(new Event("change"));
    }
    expect(boxes().map((box) => box.checked)).toEqual([false, true, true]); // the oldest choice goes
    expect(link.getAttribute("href")).toBe("?run=c&other=b");
    expect(host.querySelector("tbody a")!.getAttribute("href")).toBe("?run=a");
  });

  it("say when the server is silent", async () => {
    const host = document.createElement("div");
    document.body.append(host);
    mountRunList(host, new MadeUpApp(), () => Promise.reject(new Error("no route")));
    await settle();
    expect(host.textContent).toContain("no route");
  });
});

describe("words", () => {
  it("of several series: what they share is the title, the rest the name", () => {
    expect(sharedWords(["Delivery ratio v2x/bsm (pairs)", "Delivery ratio v2x/map (pairs)"])).toEqual({ head: "Delivery ratio", tail: "(pairs)", rest: ["v2x/bsm", "v2x/map"] });
    expect(sharedWords(["Speed", "Speed"])).toEqual({ head: "Speed", tail: "", rest: ["", ""] });
    expect(sharedWords(["a", "b"])).toEqual({ head: "", tail: "", rest: ["a", "b"] });
    expect(sharedWords(["x y", "x z y", "x y"])).toEqual({ head: "x", tail: "y", rest: ["", "z", ""] });
  });

  it("of events: the figure in its unit, -1 is nobody", () => {
    const app = new MadeUpApp();
    const event = { t_s: 1, kind: "hard_braking", subject: "2", text: "", values: { lane: 318, other: -1, value: 4.1889 } };
    expect(eventText(app, event)).toBe("4.19 m/s² · lane 318");
    expect(eventText(app, { ...event, kind: "priority_granted", values: { lane: -1, other: 1, value: 2 } })).toBe("green earlier");
    expect(eventText(app, { ...event, kind: "collision", values: { lane: -1, other: 1, value: 3 } })).toBe("at 3 m/s · with bus1");
    expect(eventText(app, { ...event, kind: "unheard_of", values: { value: 3, gap_m: 2 } })).toContain("gap 2 m");
    expect([event, { ...event, subject: "1" }, { ...event, kind: "red_light" }, { ...event, kind: "spawned", subject: "1" }].map((each) => isNotable(each, META.vehicles))).toEqual([false, true, true, false]);
  });

  it("of signal groups and of axes", () => {
    expect(splitName("J1.bus_east")).toEqual(["J1", "bus east"]);
    expect(splitName("lone_group")).toEqual(["", "lone_group"]);
    expect(padded(null, null)).toEqual([0, 1]);
    expect(padded(0, 0)).toEqual([-0.5, 0.5]);
    expect(padded(5, 5)).toEqual([-0.5, 5.5]);
  });
});

describe("text", () => {
  it("is complete in both languages", () => {
    expect(Object.keys(panelStrings.zh)).toEqual(Object.keys(panelStrings.en));
    for (const [key, value] of Object.entries(panelStrings.zh)) expect(typeof value, key).toBe("string");
  });

  it("has no key without a text in any panel", async () => {
    const missing = new Set<string>();
    const app = new MadeUpApp();
    const real = app.t.bind(app);
    vi.spyOn(app, "t").mockImplementation((key: string) => {
      const text = real(key);
      if (text === key && !/^(kind|event|light|fate|plots\.group)\./.test(key)) missing.add(key);
      return text;
    });
    app.selected = 1;
    app.selectedMessage = { block: 0, row: 0 };
    for (const panel of [criteriaPanel, messagesPanel, actorPanel, eventsPanel, signalsPanel, aboutPanel]) await mounted(panel, app);
    expect([...missing]).toEqual([]);
  });
});
