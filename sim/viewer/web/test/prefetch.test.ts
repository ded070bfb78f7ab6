import { expect, test } from "vitest";
import { outwards } from "../src/data/prefetch";

test("blocks come from here outwards, each once", () => {
  expect(outwards(2, 5)).toEqual([2, 3, 1, 4, 0]);
  expect(outwards(0, 3)).toEqual([0, 1, 2]);
  expect(outwards(4, 5)).toEqual([4, 3, 2, 1, 0]);
});
