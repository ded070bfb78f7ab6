import { expect, test } from "vitest";
import { formatHash, isWhole, parseHash } from "../src/hash";

test("a moment comes back", () => {
  const place = { timeMs: 12340, selected: "bus1", unit: "rsu/J1", message: { block: 3, row: 120 }, language: "zh", tab: "messages", mode: "split", view: { x: 1253.3, y: -85.1, scale: 7.25 } } as const;
  expect(parseHash(formatHash(place))).toEqual(place);
});

test("the short form that people write", () => {
  const place = parseHash("#t=12.34&sel=17&lang=zh");
  expect([place.timeMs, place.selected, place.language, place.unit, place.mode]).toEqual([12340, "17", "zh", null, null]);
});

test("nonsense is nothing, not an error", () => {
  const place = parseHash("#t=abc&lang=<script>&msg=1:2:3&mode=__proto__&sel=&%E0%A4%A");
  expect(place).toEqual({ timeMs: null, selected: null, unit: null, message: null, language: null, tab: null, mode: null, view: null });
  expect(parseHash("#t=-5").timeMs).toBeNull();
  expect(parseHash("#t=1e999").timeMs).toBeNull();
  expect(parseHash("").timeMs).toBeNull();
  for (const at of ["1,2", "1,2,3,4", "NaN,0,5", "1e9,0,5", "0,0,0", "0,0,999", "a,b,c"]) expect(parseHash(`#at=${at}`).view, at).toBeNull();
});

test("names in any script", () => {
  expect(parseHash(formatHash({ ...parseHash(""), selected: "公交 1&2" })).selected).toBe("公交 1&2");
});

test("a link of the page says all, one that was typed says what it says", () => {
  expect(isWhole(parseHash("#t=3&sel=bus1&tab=plots&lang=en"))).toBe(true);
  expect(isWhole(parseHash("#t=3&at=1.0,2.0,5&tab=plots&lang=en"))).toBe(true);
  for (const typed of ["#t=3", "#t=3&tab=plots&lang=en", "#sel=bus1&tab=plots&lang=en", ""]) expect(isWhole(parseHash(typed)), typed).toBe(false);
});
