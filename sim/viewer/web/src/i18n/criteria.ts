// Names of criteria and metrics in Chinese. In English they read as they are recorded, which is how scenes write them.
import type { App } from "../model";

const KINDS: Record<string, string> = {
  no_collision: "无碰撞", no_red_light: "不闯红灯", lane_rules: "车道规则", speed_limit: "限速", station_stops: "车站停靠", comfort: "舒适性", arrival: "到达目的地", timetable: "时刻表",
  priority_granted: "信号优先", side_street_delay: "支路延误", message_periods: "消息周期", background_clean: "背景交通守规", signal_rules: "信号规则", traffic_flow: "交通流", no_gridlock: "无死锁",
};

/** What stands behind the kind: who or what it is about, and which part of it. */
const PARTS: Record<string, string> = {
  served: "停靠站数", "door faults": "车门故障", along: "停车位置", gap: "停靠间距", doors: "开门时移动", a_x: "纵向加速度", a_y: "横向加速度", jerk: "加加速度", "a_x rear": "后节纵向加速度", "a_y rear": "后节横向加速度",
  "jerk rear": "后节加加速度", emergencies: "紧急制动", early: "早点", late: "晚点", mean: "平均", longest: "最长", arrived: "到达数", peak: "峰值车辆数", mean_speed_mps: "平均速度",
};

const METRICS: Record<string, string> = {
  a_x_p95: "纵向加速度 p95", a_x_rear_p95: "后节纵向加速度 p95", a_y_p95: "横向加速度 p95", a_y_rear_p95: "后节横向加速度 p95", jerk_p95: "加加速度 p95", jerk_rear_p95: "后节加加速度 p95",
  distance_m: "行驶距离", dwell_s: "停站时间", hard_brakings: "急制动次数", mean_speed_mps: "平均速度", signal_delay_s: "信号延误", standing_s: "停车时间", stations: "停靠站数", stops_on_the_way: "途中停车次数",
  travel_time_s: "行程时间", run_time_s: "运行时间", arrived_s: "到达时刻", departed_s: "出发时刻",
};

type Speaker = Pick<App, "language">;
const KNOWN = { KINDS, PARTS, METRICS } as const;

/** A word of one of the lists, null when it is none. */
function word(list: keyof typeof KNOWN, key: string): string | null {
  return Object.hasOwn(KNOWN[list], key) ? KNOWN[list][key]! : null;
}

/** "comfort/bus1 a_x rear" -> "舒适性 · bus1 · 后节纵向加速度"; what is not known stays as it is. */
export function criterionName(app: Speaker, name: string): string {
  if (app.language !== "zh") return name;
  const found = /^([a-z_]+)(?:\/([^ ]+))?(?: (.+))?$/.exec(name);
  const kind = found ? word("KINDS", found[1]!) : null;
  if (!found || kind === null) return name;
  return [kind, ...[found[2], found[3]].filter((part) => part !== undefined).map((part) => word("PARTS", part) ?? part)].join(" · ");
}

/** A metric's name in words, null where the page has none. */
export function metricWord(app: Speaker, name: string): string | null {
  return app.language === "zh" ? word("METRICS", name) : null;
}
