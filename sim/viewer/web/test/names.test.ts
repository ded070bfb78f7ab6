// What happens in runs and how they end has a name in Chinese; what was recorded is said with the translations that come along.
import { describe, expect, test } from "vitest";
import { text } from "../src/i18n/index";
import { metricWord, recorded } from "../src/i18n/recorded";
import { momentName } from "../src/shell/moments";
import { MadeUpApp, MadeUpRun, META } from "../src/panels/synthetic";
import judging from "../../../../protocols/judging.py?raw";

describe("names in Chinese", () => {
  test("every kind of event", () => {
    const enumeration = /class EventKind\(IntEnum\):([\s\S]*?)\n\n\n/.exec(judging)![1]!;
    const kinds = [...enumeration.matchAll(/^ {4}([A-Z_]+) = /gm)].map((found) => found[1]!.toLowerCase()).filter((kind) => kind !== "unspecified");
    expect(kinds.length).toBeGreaterThan(14);
    for (const kind of kinds) expect(text("zh", `event.${kind}`), kind).toMatch(/^\p{Script=Han}+$/u);
  });

  test("every outcome a run can have", () => {
    const outcomes = ["pass", "fail", "bad_input", "infrastructure_error", "nothing_ran", "incomplete", "running", "unreadable"];
    for (const outcome of outcomes) {
      expect(text("zh", `criteria.outcome.${outcome}`), outcome).toMatch(/\p{Script=Han}/u);
      expect(text("zh", `outcome.${outcome.split("_")[0]}`), outcome).toMatch(/\p{Script=Han}/u);
    }
  });
});

describe("what was recorded", () => {
  const run = new MadeUpRun({ ...META });
  run.meta.zh = { "bus1 jerked": "bus1 急动", dwell_s: "停站时间", "comfort/bus1 jerk": "乘坐舒适性 · bus1 · 加加速度" };
  const app = new MadeUpApp(run);

  test("is said as recorded in English", () => {
    app.language = "en";
    expect(recorded(app, "bus1 jerked")).toBe("bus1 jerked");
    expect(metricWord(app, "dwell_s")).toBeNull();
  });

  test("is said in Chinese where there is a translation; the rest stays", () => {
    app.language = "zh";
    expect(recorded(app, "bus1 jerked")).toBe("bus1 急动");
    expect(metricWord(app, "dwell_s")).toBe("停站时间");
    expect(metricWord(app, "jerk_p95")).toBeNull();
    for (const unknown of ["", "My own rule", "constructor", "__proto__", "toString"]) expect(recorded(app, unknown)).toBe(unknown);
    expect(momentName(app, { timeMs: 0, kind: "failed", title: "comfort/bus1 jerk", text: "", subject: "" })).toBe("未满足：乘坐舒适性 · bus1 · 加加速度");
  });

  test("of the run compared with is said too, and a pack without translations is none the worse", () => {
    const both = new MadeUpApp(new MadeUpRun({ ...META, zh: {} }), run);
    both.language = "zh";
    expect(recorded(both, "bus1 jerked")).toBe("bus1 急动");
    const old = new MadeUpRun({ ...META });
    delete (old.meta as { zh?: unknown }).zh;
    const without = new MadeUpApp(old);
    without.language = "zh";
    expect(recorded(without, "bus1 jerked")).toBe("bus1 jerked");
  });
});
