// Text of a log cannot turn the words around it.
import { expect, test } from "vitest";
import { plain } from "../src/plain";

test("overrides and embeddings become visible; words of right-to-left scripts stay", () => {
  expect(plain("\u202egnp.exe")).toBe("\ufffdgnp.exe");
  expect(plain("a\u2066b\u2069c\u202ad\u202c")).toBe("a\ufffdb\ufffdc\ufffdd\ufffd");
  for (const text of ["\u05de\u05d7\u05dc\u05e3 3", "\u0645\u0631\u062d\u0628\u0627", "公交 1", "bus1 \u200fx"]) expect(plain(text)).toBe(text);
});
