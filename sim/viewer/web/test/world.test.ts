import { describe, expect, test, vi } from "vitest";
import { sectionInfo } from "../src/data/server";
import { lastAtOrBefore, lerpAngle, rowsOfActor, WorldAt } from "../src/data/world";
import { actor, TinyRun } from "./support/tiny_run";

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 30)); // in turns: a busy machine has more to do in each
};

async function here(run: TinyRun): Promise<void> {
  await Promise.all([0, 1].map((k) => run.block("world", k)));
}

describe("between frames", () => {
  test("yaw goes the shorter way round", () => {
    expect(lerpAngle(3.0, -3.0, 0.5)).toBeCloseTo(Math.PI, 9);
    expect(lerpAngle(-3.0, 3.0, 0.25)).toBeCloseTo(-3.0 - 0.25 * (2 * Math.PI - 6), 9);
    expect(lerpAngle(0.1, 0.3, 0.5)).toBeCloseTo(0.2, 9);
    expect(lerpAngle(0.1, 0.3 + 4 * Math.PI, 0.5)).toBeCloseTo(0.2, 9);
  });

  test("the last entry at or before a time", () => {
    expect([-1, 0, 5, 10, 15, 99].map((t) => lastAtOrBefore([0, 10, 20], t))).toEqual([-1, 0, 0, 1, 1, 2]);
    expect(lastAtOrBefore([], 3)).toBe(-1);
  });

  test("places are half way in the middle, across the seam of two blocks too", async () => {
    const frames = [0, 200, 400, 600, 800, 1000, 1200].map((t) => ({ t, rows: [{ id: 7, x: t / 100, y: -1, yaw: 0 }] }));
    const run = await TinyRun.make(frames, [actor(7)]);
    await here(run);
    const world = new WorldAt(run);
    for (const t of [0, 100, 333, 800, 900, 999, 1000, 1100]) {
      expect(world.update(t)).toBe(true);
      expect(world.x[world.at.get(7)!]).toBeCloseTo(t / 100, 6);
    }
    world.update(1900); // after the last frame everybody stays
    expect(world.x[0]).toBeCloseTo(12, 6);
  });

  test("rows may come in another order, and actors come and go", async () => {
    const frames = [
      { t: 0, rows: [{ id: 1, x: 0, y: 0, yaw: 0 }, { id: 2, x: 10, y: 0, yaw: 0 }] },
      { t: 200, rows: [{ id: 3, x: 50, y: 0, yaw: 0 }, { id: 2, x: 12, y: 0, yaw: 0 }] },
    ];
    const run = await TinyRun.make(frames, [actor(1), actor(2), actor(3)]);
    await here(run);
    const world = new WorldAt(run);
    world.update(100);
    expect([...world.at.keys()]).toEqual([1, 2]);
    expect(world.x[world.at.get(1)!]).toBe(0);
    expect(world.x[world.at.get(2)!]).toBeCloseTo(11, 6);
    world.update(200);
    expect([...world.at.keys()].sort()).toEqual([2, 3]);
  });

  test("who is put somewhere else is not drawn on the way there", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 0, y: 0, yaw: 0 }] }, { t: 200, rows: [{ id: 1, x: 60, y: 0, yaw: 0 }] }], [actor(1)]);
    await here(run);
    const world = new WorldAt(run);
    for (const [t, x] of [[0, 0], [100, 0], [199, 0], [200, 60]]) {
      world.update(t);
      expect(world.x[0]).toBe(x);
    }
  });

  test("an actor that the list does not know is left out", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 0, y: 0, yaw: 0 }, { id: 9, x: 0, y: 0, yaw: 0 }] }], [actor(1)]);
    await here(run);
    const world = new WorldAt(run);
    world.update(0);
    expect(world.count).toBe(1);
  });

  test("while a block loads the picture stays, and one asking starts one loading", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 5, y: 0, yaw: 0 }] }], [actor(1)]);
    const world = new WorldAt(run);
    expect(world.update(0)).toBe(false);
    expect(world.update(0)).toBe(false);
    await settled();
    expect(run.fetched.filter((key) => key === "world/0")).toHaveLength(1);
    expect(world.update(0)).toBe(true);
    expect(world.x[0]).toBe(5);
  });

  test("a block that has grown is read anew, and the old one shows until then", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 5, y: 0, yaw: 0 }] }, { t: 1000, rows: [{ id: 1, x: 6, y: 0, yaw: 0 }] }], [actor(1)]);
    await here(run);
    const before = [run.peek("world", 0), run.peek("world", 1)];
    await run.grow("world/1", [{ t: 1000, rows: [{ id: 1, x: 6, y: 0, yaw: 0 }] }, { t: 1200, rows: [{ id: 1, x: 8, y: 0, yaw: 0 }] }]);
    expect([run.peek("world", 0), run.peek("world", 1)]).toEqual(before);
    await settled();
    expect(run.peek("world", 0)).toBe(before[0]);
    expect(run.peek("world", 1)).not.toBe(before[1]);
    expect([...run.peek("world", 1)!.t]).toEqual([1000, 1200]);
    expect(run.fetched).toEqual(["world/0", "world/1", "world/1"]);
  });

  test("a section that is ahead of the manifest is read as what it says it is, once", async () => {
    const warn = vi.spyOn(console, "warn");
    const first = { t: 0, rows: [{ id: 1, x: 5, y: 0, yaw: 0 }] };
    const second = { t: 200, rows: [{ id: 1, x: 6, y: 0, yaw: 0 }] };
    const run = await TinyRun.make([first], [actor(1)]);
    const info = await run.runAhead("world/0", [first, second]);
    expect([...(await run.block("world", 0))!.t]).toEqual([0, 200]);
    run.learn({ "world/0": info }); // the news that had been overtaken
    run.peek("world", 0);
    await settled();
    expect(run.fetched).toEqual(["world/0"]);
    run.learn({ "world/0": await run.runAhead("world/0", [first, second, { ...second, t: 400 }]) });
    expect([...run.peek("world", 0)!.t]).toEqual([0, 200]);
    await settled();
    expect([...run.peek("world", 0)!.t]).toEqual([0, 200, 400]);
    expect(run.fetched).toEqual(["world/0", "world/0"]);
    expect(warn).not.toHaveBeenCalled();
  });

  test("what a section says of itself is believed only where it can be true", () => {
    expect(sectionInfo('{"raw":10,"rows":2,"counts":{"t":1}}')).toEqual({ raw: 10, rows: 2, counts: { t: 1 } });
    expect(sectionInfo('{"raw":10,"rows":2}')).toEqual({ raw: 10, rows: 2 });
    for (const bad of [null, "", "null", "[]", "{", '{"raw":-1,"rows":2}', '{"raw":1.5,"rows":2}', '{"raw":10}', '{"raw":10,"rows":2,"counts":{"t":"1"}}', '{"raw":10,"rows":2,"counts":7}'])
      expect(sectionInfo(bad)).toBeNull();
  });

  test("frames that point beyond their rows end where the rows end", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 5, y: 0, yaw: 0 }] }], [actor(1)]);
    const block = (await run.block("world", 0))!;
    block.start[1] = 4_000_000_000;
    const world = new WorldAt(run);
    world.update(0);
    expect(world.count).toBe(1);
  });

  test("rows of one actor, in order of time", async () => {
    const run = await TinyRun.make([{ t: 0, rows: [{ id: 1, x: 5, y: 0, yaw: 0 }, { id: 2, x: 5, y: 0, yaw: 0 }] }, { t: 200, rows: [{ id: 2, x: 6, y: 0, yaw: 0 }] }], [actor(1), actor(2)]);
    const block = (await run.block("world", 0))!;
    expect([...rowsOfActor(block, 2)]).toEqual([0, 1, 1, 2]); // frame, row
    expect(rowsOfActor(block, 5)).toHaveLength(0);
  });
});
