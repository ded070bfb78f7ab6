import { expect, test } from "vitest";
import { formatHash, parseHash } from "../src/hash";

test("a moment comes back", () => {
  const place = { timeMs: 12340, selected: "bus1", unit: "rsu/J1", message: { block: 3, row: 120 }, language: "zh", tab: "messages", mode: "split" } as const;
  expect(parseHash(formatHash(place))).toEqual(place);
});

test("the short form that people write", () => {
  const place = parseHash("#t=12.34&sel=17&lang=zh");
  expect([place.timeMs, place.selected, place.language, place.unit, place.mode]).toEqual([12340, "17", "zh", null, null]);
});

test("nonsense is nothing, not an error", () => {
  const place = parseHash("#t=abc&lang=<script>&msg=1:2:3&mode=__proto__&sel=&%E0%A4%A");
  expect(place).toEqual({ timeMs: null, selected: null, unit: null, message: null, language: null, tab: null, mode: null });
  expect(parseHash("#t=-5").timeMs).toBeNull();
  expect(parseHash("#t=1e999").timeMs).toBeNull();
  expect(parseHash("").timeMs).toBeNull();
});

test("names in any script", () => {
  expect(parseHash(formatHash({ ...parseHash(""), selected: "公交 1&2" })).selected).toBe("公交 1&2");
});
