// What panels work out from tables, without a page.
import { describe, expect, it } from "vitest";
import { beliefsAt, bodies, stateAt, unitOf } from "./actors";
import { conditions, searchContents } from "./content";
import { failedFirst, margin, vehicleOf } from "./criteria";
import { filterEvents } from "./events";
import { lastAtOrBefore } from "./find";
import { bytesText, clock, figure, fixed, metricName, unitText } from "./format";
import { hexLine, hexText } from "./hex_view";
import { arrange, runAddress, runLines } from "./runs";
import { chartsOf, joined, slice, valueAt } from "./series";
import { lightsByGroup, saidAt } from "./signals";
import { FATES, MadeUpRun, messages, META } from "./synthetic";
import { byReceiver, EVERYTHING, fateMasks, fateMatrix, Found, matching, needsFates, Traffic } from "./traffic";

const run = new MadeUpRun();

describe("fates", () => {
  it("are found row by receiver", () => {
    const matrix = fateMatrix(FATES, 0, 2, 3)!;
    expect([...matrix.fate]).toEqual([1, 1, 2, 1, 1, 4]);
    const [bus, first, second] = byReceiver(matrix);
    expect(bus).toMatchObject({ heard: 2, lost: 0, minUs: 500, maxUs: 600, isSender: false });
    expect(first).toMatchObject({ heard: 2, minUs: 700, maxUs: 65535 });
    expect(second).toMatchObject({ heard: 0, lost: 2 });
    expect([...second!.counts]).toEqual([
      [2, 1],
      [4, 1],
    ]);
    const spat = byReceiver(fateMatrix(FATES, 6, 1, 3)!);
    expect(spat[1]!.isSender).toBe(true);
  });

  it("outside the block are no matrix", () => {
    expect(fateMatrix(FATES, 12, 2, 3)).toBeNull();
    expect(fateMatrix(FATES, -1, 1, 3)).toBeNull();
  });

  it("agree with the sums that messages carry", async () => {
    const traffic = Traffic.of(run);
    for (let row = 0; row < 4; row++) {
      const matrix = (await traffic.fates({ block: 0, row }))!;
      const line = traffic.line({ block: 0, row })!;
      const all = byReceiver(matrix);
      expect(all.reduce((sum, each) => sum + each.heard, 0)).toBe(line.heard);
      expect(all.reduce((sum, each) => sum + each.lost, 0)).toBe(line.lost);
    }
  });

  it("become one set of bits per message, of all receivers or one", () => {
    expect([...fateMasks(messages(0), FATES, 3, null)]).toEqual([0b10110, 0b111, 0b1000101, 0b11]);
    expect([...fateMasks(messages(0), FATES, 3, 2)]).toEqual([0b10100, 0b100, 0b1, 0b10]);
  });
});

describe("filters of messages", () => {
  const pick = (filter: Partial<typeof EVERYTHING>): number[] => {
    const whole = { ...EVERYTHING, ...filter };
    const masks = needsFates(whole) ? fateMasks(messages(0), FATES, 3, whole.receiver) : null;
    return [...matching(messages(0), whole, masks, META.topics, META.units)];
  };

  it("go by topic, sender, receiver and what became of it", () => {
    expect(pick({})).toEqual([0, 1, 2, 3]);
    expect(pick({ topic: 1 })).toEqual([1, 2]);
    expect(pick({ topic: 1, sender: 3 })).toEqual([2]);
    expect(pick({ outcome: "lost" })).toEqual([0, 1, 2]);
    expect(pick({ outcome: "heard" })).toEqual([0, 1, 3]);
    expect(pick({ receiver: 0 })).toEqual([0, 1, 2]); // bus1 sent the fourth itself
    expect(pick({ receiver: 0, outcome: "heard" })).toEqual([0, 1]);
    expect(pick({ receiver: 0, outcome: "lost" })).toEqual([2]);
    expect(pick({ outcome: 6 })).toEqual([2]);
    expect(pick({ outcome: 4, receiver: 1 })).toEqual([]);
  });

  it("search names, sequence numbers and sizes; all words must hold", () => {
    expect(pick({ text: "BSM" })).toEqual([0, 3]);
    expect(pick({ text: "j2" })).toEqual([2]);
    expect(pick({ text: "20" })).toEqual([1]);
    expect(pick({ text: "#40" })).toEqual([3]);
    expect(pick({ text: "size>=120" })).toEqual([2, 3]);
    expect(pick({ text: "size<120 rows=1" })).toEqual([1]);
    expect(pick({ text: "spat rsu seq>20" })).toEqual([2]);
    expect(pick({ text: "nothing" })).toEqual([]);
  });

  it("give one list over all blocks", async () => {
    const traffic = Traffic.of(run);
    await Promise.all([traffic.read(0), traffic.read(1)]);
    const found = new Found();
    found.set([Uint32Array.from([1, 3]), Uint32Array.from([0, 1])], traffic);
    expect(found.length).toBe(4);
    expect([0, 1, 2, 3, 4].map((index) => found.at(index))).toEqual([{ block: 0, row: 1 }, { block: 0, row: 3 }, { block: 1, row: 0 }, { block: 1, row: 1 }, null]);
    expect(found.indexOf({ block: 1, row: 1 })).toBe(3);
    expect(found.indexOf({ block: 1, row: 2 })).toBe(-1);
    expect([0, 999, 1000, 1999, 2000, 30_999, 31_000, 99_000].map((ms) => found.lastBefore(ms))).toEqual([-1, -1, 0, 0, 1, 1, 3, 3]);
    found.set([null, Uint32Array.from([2])], traffic);
    expect(found.at(0)).toEqual({ block: 1, row: 2 });
    expect(found.lastBefore(31_000)).toBe(-1);
  });
});

describe("search in contents", () => {
  const find = async (text: string): Promise<number[] | null> => {
    const { words, tests } = conditions(text);
    const rows = matching(messages(0), { ...EVERYTHING, text: words }, null, META.topics, META.units);
    const found = await searchContents(run, 0, messages(0), rows, tests, () => false);
    return found && [...found];
  };

  it("tells conditions from words and from columns of the list", () => {
    expect(conditions("rsu Speed_mps>=2 size>5 mode:HI")).toEqual({
      words: "rsu size>5",
      tests: [
        { name: "speed_mps", operator: ">=", wanted: "2", limit: 2 },
        { name: "mode", operator: ":", wanted: "hi", limit: NaN },
      ],
    });
  });

  it("finds values in any row, with or without the unit in the name", async () => {
    expect(await find("speed_mps>9")).toEqual([0]);
    expect(await find("speed<-1")).toEqual([0]);
    expect(await find("speed>10")).toEqual([]);
    expect(await find("station_id=2 mode=hi t=1")).toEqual([0]);
    expect(await find("mode:h mode!=ho")).toEqual([0]);
    expect(await find("nothing=1")).toEqual([]);
    expect(await find("spat speed>0")).toEqual([]);
    expect(await searchContents(run, 0, messages(0), Uint32Array.from([0]), [], () => true)).toBeNull();
    // Bytes that are not in the block come from the run.
    const bare = { ...messages(0), bytes0: Int32Array.from([-1, -1, -1, -1]) };
    expect([...(await searchContents(run, 0, bare, Uint32Array.from([0, 3]), conditions("mode=hi").tests, () => false))!]).toEqual([0]);
  });
});

describe("series", () => {
  it("are cut out of the concatenated columns", async () => {
    const table = (await run.table("series"))!;
    expect(slice(table, META.series[1]!)).toEqual({ t: Float64Array.from([0, 2]), y: Float64Array.from([12, 10]) });
    expect(slice(table, { ...META.series[2]!, rows: 99 }).t.length).toBe(2); // never beyond the columns
    const charts = chartsOf(run, table, run, table);
    expect(charts.map((chart) => [chart.group, chart.lines.length])).toEqual([
      ["speed", 4],
      ["jerk", 2],
    ]);
    expect(charts[0]!.lines.map((line) => line.isOther)).toEqual([false, false, true, true]);
  });

  it("share one axis; a missing value is a gap, a missing moment is not", () => {
    const a = { t: Float64Array.from([0, 1, 2]), y: Float64Array.from([1, NaN, 3]) };
    const b = { t: Float64Array.from([0, 1.5]), y: Float64Array.from([7, 8]) };
    expect(joined([a])).toEqual({ t: [0, 1, 2], y: [[1, null, 3]] });
    expect(joined([a, b])).toEqual({
      t: [0, 1, 1.5, 2],
      y: [
        [1, null, undefined, 3],
        [7, undefined, 8, undefined],
      ],
    });
    expect(joined([])).toEqual({ t: [], y: [] });
  });

  it("have the value of the last point before", () => {
    const line = { t: Float64Array.from([1, 2]), y: Float64Array.from([5, 6]) };
    expect([0, 1, 1.9, 2, 9].map((at) => valueAt(line, at))).toEqual([NaN, 5, 5, 6, 6]);
    expect(valueAt(line, 9, 8)).toBeNaN(); // the run was over
  });
});

describe("signals", () => {
  it("turn into changes per group", async () => {
    const table = (await run.table("signals"))!;
    expect(lightsByGroup(table, 2)).toEqual([
      { t: [0, 13_000], light: [2, 5] },
      { t: [0, 10_000, 13_000], light: [5, 6, 2] },
    ]);
  });

  it("are what SPAT last said, not what it will say", async () => {
    const spat = (await run.block("spat", 0))!;
    expect(saidAt([spat], 999).get(0)).toEqual({ light: 2, remaining: 10, t: 0 });
    expect(saidAt([spat], 1000).get(0)?.remaining).toBe(9);
    expect(saidAt([spat], 1000).get(1)?.remaining).toBeNaN();
    expect(saidAt([spat], 60_000).size).toBe(0);
  });
});

describe("actors", () => {
  const bus = META.actors[0]!;

  it("are looked up in the frame at or before", async () => {
    const world = (await run.block("world", 0))!;
    expect(stateAt(world, 2, 350)).toMatchObject({ t: 200, x: 50, speed: 9 });
    expect(stateAt(world, 3, 350)).toBeNull();
    expect(stateAt(world, 1, -1)).toBeNull();
  });

  it("have the centres of their sections", () => {
    const state = { t: 0, x: 10, y: 0, yaw: 0, speed: 0, accel: 0, hitch: -Math.PI / 2, doors: 0 };
    const [front, rear] = bodies(bus, state);
    expect(front).toEqual({ x: 13, y: 0, isRear: false });
    expect(rear!.x).toBeCloseTo(9); // joint 1 m behind the axle; the rear section points left, so its centre lies right
    expect(rear!.y).toBeCloseTo(-4);
  });

  it("are matched to the nearest perceived object", async () => {
    const world = (await run.block("world", 0))!;
    const perceived = (await run.block("perceived/rsu/J1", 0))!;
    const [belief, ...others] = beliefsAt(perceived, bus, stateAt(world, 1, 0)!, 0);
    expect(others).toEqual([]); // nothing near the rear section
    expect(belief!.errorM).toBeCloseTo(0.5);
    expect(belief!.speedErrorMps).toBeCloseTo(0.5);
    expect(belief).toMatchObject({ isRear: false, kind: 4, ageMs: 0 });
    expect(beliefsAt(perceived, META.actors[1]!, stateAt(world, 2, 0)!, 0)).toEqual([]);
    expect(beliefsAt(perceived, bus, stateAt(world, 1, 1200)!, 9000)).toEqual([]); // long ago
    expect(unitOf(run, bus)).toBe("obu/bus1");
    expect(unitOf(run, META.actors[1]!)).toBeNull();
  });
});

describe("verdict and events", () => {
  it("put failures first and find the vehicle", () => {
    expect(failedFirst(META.criteria).map((each) => each.name)).toEqual(["comfort/bus1 jerk", "no_collision"]);
    expect(vehicleOf(META.criteria[1]!, { bus: 3, bus1: 1 })).toBe(1);
    expect(vehicleOf(META.criteria[0]!, { bus1: 1 })).toBeNull();
  });

  it("scale value and limit to one bar", () => {
    const of = (value: number | null, limit: number | null) => margin({ ...META.criteria[0]!, value, limit });
    expect(of(4, 3)!.value).toBeGreaterThan(of(4, 3)!.limit);
    expect(of(-16, 0.5)!.value).toBe(0);
    expect(of(0, 0)).toBeNull();
    expect(of(null, 3)).toBeNull();
  });

  it("filter by kind and by words", () => {
    expect(filterEvents(META.events, "stop", "")).toHaveLength(1);
    expect(filterEvents(META.events, "", "BUS1 red")).toHaveLength(1);
    expect(filterEvents(META.events, "stop", "red")).toHaveLength(0);
  });
});

describe("runs", () => {
  const lines = runLines({
    runs: [
      { id: "a", scenario: "brt", seed: 1, outcome: "pass", duration_s: 60, time: 1_700_000_000, size: 5 },
      { id: "b", scenario: "island", seed: 12, outcome: "fail", duration_s: 600, time: "2026-01-02T03:04:05Z" },
      { id: "c", live: true },
      { id: 4 },
      "x",
    ],
  });

  it("keep what is a run, with what is known of it", () => {
    expect(lines.map((line) => [line.id, line.outcome, line.scenario])).toEqual([
      ["a", "pass", "brt"],
      ["b", "fail", "island"],
      ["c", "live", "c"],
    ]);
    expect(lines[0]!.time).toBe(1_700_000_000_000);
    expect(lines[1]!.time).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    expect(runLines(null)).toEqual([]);
    expect(runLines({ runs: 3 })).toEqual([]);
  });

  it("are searched and sorted; unknown figures come last", () => {
    const ids = (text: string, outcome: string, sort: "time" | "seed", isDescending: boolean): string[] =>
      arrange(lines, { text, outcome, sort, isDescending }).map((line) => line.id);
    expect(ids("", "", "time", true)).toEqual(["b", "a", "c"]);
    expect(ids("", "", "time", false)).toEqual(["a", "b", "c"]);
    expect(ids("seed=1", "", "seed", false)).toEqual(["a", "b"]);
    expect(ids("isl", "fail", "time", true)).toEqual(["b"]);
    expect(ids("isl", "pass", "time", true)).toEqual([]);
    expect(runAddress("a/b", "c&d")).toBe("?run=a%2Fb&other=c%26d");
  });
});

describe("figures", () => {
  it("read well", () => {
    expect([0, 5250, 61_000, 3_661_040].map((ms) => clock(ms))).toEqual(["0:00.0", "0:05.3", "1:01.0", "1:01:01.0"]);
    expect(clock(59_960)).toBe("1:00.0");
    expect(clock(-500)).toBe("-0:00.5");
    expect(clock(1234, 3)).toBe("0:01.234");
    expect([0, 3, 12.345, 0.01234, 1234.5, -2.5, null].map(figure)).toEqual(["0", "3", "12.35", "0.012", "1235", "−2.50", "–"]);
    expect([-0.001, -1.25, 0].map((value) => fixed(value, 1))).toEqual(["0.0", "−1.3", "0.0"]);
    expect(unitText("m/s3")).toBe("m/s³");
    expect(metricName("mean_speed_mps")).toEqual(["mean speed", "m/s"]);
    expect([999, 1500, 2_500_000].map(bytesText)).toEqual(["999 B", "1.5 kB", "2.5 MB"]);
    expect([-1, 0, 1, 2, 3].map((value) => lastAtOrBefore([0, 2, 2], value))).toEqual([-1, 0, 0, 2, 2]);
  });

  it("show bytes", () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, index) => index + 0x3c);
    expect(hexLine(bytes, 1)).toEqual({ offset: "0010", hex: ["4c", "4d", "4e", "4f"], ascii: ["L", "M", "N", "O"] });
    expect(hexLine(Uint8Array.from([0, 0x7f, 0x41]), 0).ascii).toEqual(["·", "·", "A"]);
    expect(hexText(Uint8Array.from([0, 255, 16]))).toBe("00ff10");
  });
});
