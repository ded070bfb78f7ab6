import { expect, test } from "vitest";
import { completeMeta, readManifest } from "../src/data/manifest";
import { Lru } from "../src/data/lru";
import { panelStrings } from "../src/i18n/panels";
import { shellStrings } from "../src/i18n/shell";
import { text } from "../src/i18n/index";
import { clock, momentName, momentsOf, neighbour } from "../src/shell/moments";

test("failed criteria and events are moments in order of time; those that passed or have no time are not", () => {
  const criterion = { passed: false, sentence: "s", value: 1, limit: 0, unit: "", where: "" };
  const moments = momentsOf(completeMeta({
    vehicles: { bus1: 1 },
    criteria: [{ ...criterion, name: "late", t_s: 9 }, { ...criterion, name: "fine", passed: true, t_s: 1 }, { ...criterion, name: "never", t_s: null }],
    events: [{ t_s: 3, kind: "collision", subject: "17", text: "", values: {} }, { t_s: 4, kind: "hard_braking", subject: "17", text: "", values: {} }, { t_s: 12, kind: "doors_opened", subject: "1", text: "", values: {} }],
  }));
  expect(moments.map((m) => [m.timeMs, m.kind])).toEqual([[3000, "bad"], [9000, "failed"], [12000, "event"]]);
  expect(neighbour(moments, 3000, 1)?.timeMs).toBe(9000);
  expect(neighbour(moments, 9000, -1)?.timeMs).toBe(3000);
  expect(neighbour(moments, 3000, -1)).toBeNull();
});

test("what happened to nobody in particular names nobody", () => {
  const [moment] = momentsOf(completeMeta({ events: [{ t_s: 5, kind: "signal_rule", subject: "0", text: "J1.bus_east", values: {} }] }));
  const app = { t: (key: string) => text("en", key), language: "en" as const, run: { meta: { zh: {} } }, other: null };
  expect(momentName(app as unknown as Parameters<typeof momentName>[0], moment!)).toBe("signal rule broken");
});

test("times", () => {
  expect([clock(0), clock(59_990), clock(60_000), clock(3_723_400)]).toEqual(["0:00.0", "0:59.9", "1:00.0", "1:02:03.4"]);
});

test("both languages say the same things", () => {
  for (const strings of [shellStrings, panelStrings]) {
    expect(Object.keys(strings.zh).sort()).toEqual(Object.keys(strings.en).sort());
    const holes = (words: string): string[] => (words.match(/\{\w+\}/g) ?? []).sort();
    for (const key of Object.keys(strings.en)) expect(holes(strings.zh[key]), key).toEqual(holes(strings.en[key]));
  }
});

test("the oldest goes first when the cache is full, and what was just read stays", () => {
  const cache = new Lru<number>(10);
  cache.set("a", 1, 4);
  cache.set("b", 2, 4);
  expect(cache.get("a")).toBe(1);
  cache.set("c", 3, 4);
  expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
  cache.set("huge", 4, 99);
  expect([cache.get("huge"), cache.size]).toEqual([4, 1]);
});

test("a manifest of another format or without its parts is refused in words", () => {
  expect(() => readManifest(null)).toThrow(/no JSON object/);
  expect(() => readManifest({ format: 2 })).toThrow(/format 2/);
  expect(() => readManifest({ format: 1, meta: {}, tables: {}, sections: {}, block_ms: 0 })).toThrow(/block_ms/);
  expect(readManifest({ format: 1, meta: {}, tables: {}, sections: {}, block_ms: 30000 }).meta.roads.lanes).toEqual([]);
});
