// What runs are judged by and what happens in them has a name in Chinese: the lists are those of the program itself.
import { describe, expect, test } from "vitest";
import { criterionName, metricWord } from "../src/i18n/criteria";
import { text } from "../src/i18n/index";
import judging from "../../../../protocols/judging.py?raw";
import judge from "../../../../scenarios/criteria/judge.py?raw";
import models from "../../../../scenarios/criteria/models.py?raw";

const zh = { language: "zh" } as const;
const en = { language: "en" } as const;

describe("names in Chinese", () => {
  test("every kind of criterion", () => {
    const kinds = [...models.matchAll(/kind: Literal\["(\w+)"\]/g)].map((found) => found[1]!);
    expect(kinds.length).toBeGreaterThan(10);
    for (const kind of kinds) expect(criterionName(zh, kind), kind).toMatch(/^\p{Script=Han}+$/u);
  });

  test("every kind of event", () => {
    const enumeration = /class EventKind\(IntEnum\):([\s\S]*?)\n\n\n/.exec(judging)![1]!;
    const kinds = [...enumeration.matchAll(/^ {4}([A-Z_]+) = /gm)].map((found) => found[1]!.toLowerCase()).filter((kind) => kind !== "unspecified");
    expect(kinds.length).toBeGreaterThan(14);
    for (const kind of kinds) expect(text("zh", `event.${kind}`), kind).toMatch(/^\p{Script=Han}+$/u);
  });

  test("every number of a vehicle", () => {
    const names = [...judge.matchAll(/^ {12}"(\w+)": (?:trip|travel)/gm)].map((found) => found[1]!);
    expect(names.length).toBeGreaterThan(4);
    for (const name of [...names, "signal_delay_s"]) expect(metricWord(zh, name), name).toMatch(/\p{Script=Han}/u);
  });

  test("subject and part stay in place; what is unknown stays as it is; English stays as recorded", () => {
    expect(criterionName(zh, "comfort/bus1 a_x rear")).toBe("舒适性 · bus1 · 后节纵向加速度");
    expect(criterionName(zh, "station_stops/shuttle1 served")).toBe("车站停靠 · shuttle1 · 停靠站数");
    expect(criterionName(zh, "message_periods/spat")).toBe("消息周期 · spat");
    expect(criterionName(zh, "traffic_flow/mean_speed_mps")).toBe("交通流 · 平均速度");
    expect(criterionName(zh, "side_street_delay longest")).toBe("支路延误 · 最长");
    expect(criterionName(zh, "arrival/constructor constructor")).toBe("到达目的地 · constructor · constructor");
    for (const name of ["", "My own rule", "constructor", "nobody_knows/bus1 x"]) expect(criterionName(zh, name)).toBe(name);
    expect(criterionName(en, "comfort/bus1 a_x rear")).toBe("comfort/bus1 a_x rear");
    expect(metricWord(en, "dwell_s")).toBeNull();
  });

  test("every outcome a run can have", () => {
    const outcomes = ["pass", "fail", "bad_input", "infrastructure_error", "nothing_ran", "incomplete", "running", "unreadable"];
    for (const outcome of outcomes) {
      expect(text("zh", `criteria.outcome.${outcome}`), outcome).toMatch(/\p{Script=Han}/u);
      expect(text("zh", `outcome.${outcome.split("_")[0]}`), outcome).toMatch(/\p{Script=Han}/u);
    }
  });
});
