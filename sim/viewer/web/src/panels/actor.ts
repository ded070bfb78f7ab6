// The selected actor: its state, what every unit believes about it beside the truth, and what its unit last said and heard.
import type { Actor, App, Columns } from "../model";
import { beliefsAt, stateAt, unitCalled, unitOf, type ActorState } from "./actors";
import { el, setAttribute, setText } from "./dom";
import { lastAtOrBefore } from "./find";
import { fixed } from "./format";
import { orNull, panelOf, type Context } from "./frame";
import { kindName } from "./kinds";
import { DELIVERED, Traffic, type MessageAt } from "./traffic";

export const actorPanel = panelOf(
  "actor",
  () => ({}),
  (context) => {
    const { host, app } = context;
    const view = el("div", { class: "p-actor-view" });
    host.append(picker(app, context), view);
    let update: () => void = () => undefined;
    const choose = (): void => {
      const actor = app.run.meta.actors.find((each) => each.id === app.selected) ?? null;
      view.replaceChildren();
      if (actor) update = actorView(context, view, actor);
      else if (app.selectedUnit) update = unitView(context, view, app.selectedUnit);
      else {
        view.append(el("p", { class: "p-muted" }, app.t("actor.none")));
        update = () => undefined;
      }
      update();
    };
    context.on("selection", choose);
    choose();
    context.onTime(() => update(), 8);
  },
);

function picker(app: App, context: Context): HTMLElement {
  const tools = el("div", { class: "p-tools" });
  const buttons: [HTMLElement, () => boolean][] = [];
  for (const [name, id] of Object.entries(app.run.meta.vehicles)) {
    const button = el("button", { type: "button", class: "p-toggle", onclick: () => app.select(id) }, name);
    buttons.push([button, () => app.selected === id]);
    tools.append(button);
  }
  for (const { name: short } of app.run.meta.rsus) {
    const name = unitCalled(app.run, short) ?? short;
    const button = el("button", { type: "button", class: "p-toggle", onclick: () => (app.select(null), app.selectUnit(name)) }, name);
    buttons.push([button, () => app.selected === null && app.selectedUnit !== null && (unitCalled(app.run, app.selectedUnit) ?? app.selectedUnit) === name]);
    tools.append(button);
  }
  const mark = (): void => {
    for (const [button, isOn] of buttons) setAttribute(button, "aria-pressed", String(isOn()));
  };
  mark();
  context.on("selection", mark);
  return tools;
}

/** A block of a table at hand once it has been read; asks for it when time has moved to another. */
function blockAt(context: Context, name: string, ready: () => void): () => Columns | null {
  const { app } = context;
  let held: Columns | null = null;
  let number = -1;
  let isStale = false;
  context.on("live", () => (isStale = true));
  return () => {
    const block = Math.floor(app.timeMs / app.run.blockMs);
    if (block !== number || isStale) {
      if (block !== number) held = null;
      number = block;
      isStale = false;
      void orNull(app.run.block(name, block)).then((columns) => {
        if (!context.isCurrent() || number !== block) return;
        held = columns;
        ready();
      });
    }
    return held;
  };
}

function actorView(context: Context, view: HTMLElement, actor: Actor): () => void {
  const { app } = context;
  const { run } = app;
  const unit = unitOf(run, actor);
  const kind = kindName(app, actor.kind_name);
  const length = actor.rear_length > 0 ? actor.length + actor.rear_length : actor.length;
  view.append(
    el(
      "header",
      { class: "p-actor-head" },
      el("h3", {}, actor.name || `${kind} ${actor.id}`),
      el("span", { class: "p-muted" }, `${kind} · ${fixed(length, 1)} × ${fixed(actor.width, 1)} × ${fixed(actor.height, 1)} m · #${actor.id}`),
    ),
  );
  const facts = factList(app, ["speed", "accel", "jerk", "position", "yaw", "hitch", "lane", "sd", "command", "steer", "doors"]);
  view.append(facts.root);
  if (!actor.name) for (const key of ["jerk", "lane", "sd", "command", "steer"]) facts.hide(key);
  if (!actor.rear_length) facts.hide("hitch");
  if (actor.wheelbase <= 0 || actor.kind_name.toLowerCase() === "pedestrian") facts.name("position", app.t("actor.place")); // no axle to measure at
  if (actor.kind < 4 || actor.kind > 6) facts.hide("doors"); // buses and shuttles have doors

  let isTold = true;
  const ready = (): void => {
    isTold = true;
    update();
  };
  const world = blockAt(context, "world", ready);
  let trace: Columns | null = null;
  const traceName = actor.name && [actor.name, unit].find((name) => name && run.has(`trace/${name}`));
  if (traceName)
    void orNull(run.table(`trace/${traceName}`)).then((columns) => {
      if (!context.isCurrent()) return;
      trace = columns;
      ready();
    });
  const observers = run.meta.units.filter((name) => name !== unit && run.has(`perceived/${name}`));
  const beliefs = beliefTable(app, observers);
  const perceived = observers.map((name) => blockAt(context, `perceived/${name}`, ready));
  view.append(beliefs.root);
  const talk = unit ? talkView(context, view, unit) : null;
  if (!unit) view.append(el("p", { class: "p-muted" }, app.t("actor.no_unit")));

  function update(): void {
    if (!isTold && !view.isConnected) return;
    const frames = world();
    const state = frames ? stateAt(frames, actor.id, app.timeMs) : null;
    const row = trace ? lastAtOrBefore(trace.t!, app.timeMs + 0.5) : -1;
    showState(app, facts, state, trace && row >= 0 ? trace : null, row);
    observers.forEach((_name, index) => {
      const columns = perceived[index]!();
      beliefs.show(index, columns && state ? beliefsAt(columns, actor, state, app.timeMs) : []);
    });
    talk?.();
  }
  return update;
}

function showState(app: App, facts: FactList, state: ActorState | null, trace: Columns | null, row: number): void {
  const traced = (name: string): number | undefined => trace?.[name]?.[row];
  if (!state) {
    facts.set("speed", app.t("actor.absent"));
    for (const key of ["accel", "jerk", "position", "yaw", "hitch", "lane", "sd", "command", "steer", "doors"]) facts.set(key, "–");
    return;
  }
  const speed = traced("speed") ?? state.speed;
  facts.set("speed", `${fixed(speed, 2)} m/s · ${fixed(speed * 3.6, 1)} km/h`);
  facts.set("accel", `${fixed(traced("accel") ?? state.accel, 2)} m/s²`);
  facts.set("jerk", `${fixed(traced("jerk"), 2)} m/s³`);
  facts.set("position", `${fixed(traced("x") ?? state.x, 2)}, ${fixed(traced("y") ?? state.y, 2)} m`);
  facts.set("yaw", degrees(traced("yaw") ?? state.yaw));
  facts.set("hitch", degrees(state.hitch));
  facts.set("lane", traced("lane") === undefined ? "–" : String(traced("lane")));
  facts.set("sd", `${fixed(traced("s"), 2)} · ${fixed(traced("d"), 3)} m`);
  facts.set("command", `${fixed(traced("command_accel"), 2)} m/s²`);
  facts.set("steer", `${degrees(traced("steer"))} (${degrees(traced("command_steer"))})`);
  facts.set("doors", app.t(state.doors === 0 ? "actor.doors.closed" : state.doors > 0 ? "actor.doors.left" : "actor.doors.right"));
}

function degrees(radians: number | undefined): string {
  return radians === undefined ? "–" : `${fixed((radians * 180) / Math.PI, 1)}°`;
}

interface FactList {
  root: HTMLElement;
  set(key: string, text: string): void;
  hide(key: string): void;
  name(key: string, text: string): void;
}

function factList(app: App, keys: string[]): FactList {
  const root = el("dl", { class: "p-facts p-state" });
  const values = new Map<string, [HTMLElement, HTMLElement]>();
  for (const key of keys) {
    const term = el("dt", {}, app.t(`actor.${key}`));
    const value = el("dd", {}, "–");
    values.set(key, [term, value]);
    root.append(el("div", {}, term, value));
  }
  return {
    root,
    set: (key, text) => setText(values.get(key)![1], text),
    name: (key, text) => setText(values.get(key)![0], text),
    hide: (key) => ((values.get(key)![0].parentElement as HTMLElement).hidden = true),
  };
}

function beliefTable(app: App, observers: string[]): { root: HTMLElement; show(index: number, beliefs: ReturnType<typeof beliefsAt>): void } {
  if (!observers.length) return { root: el("p", { class: "p-muted" }, app.t("actor.no_observers")), show: () => undefined };
  const head = el("tr", {}, ...["observer", "error", "speed_error", "sigma", "age"].map((key) => el("th", { scope: "col" }, app.t(`actor.${key}`))));
  const body = el("tbody");
  const cells = observers.map((name) => {
    const own = [el("td"), el("td"), el("td"), el("td")];
    body.append(el("tr", {}, el("th", { scope: "row" }, el("button", { type: "button", class: "p-link", onclick: () => app.selectUnit(name) }, name)), ...own));
    return own;
  });
  const table = el("table", { class: "p-table" }, el("caption", {}, app.t("actor.beliefs")), el("thead", {}, head), body);
  return {
    root: table,
    show(index, beliefs) {
      const [belief] = beliefs;
      const [error, speed, sigma, age] = cells[index]!;
      (cells[index]![0]!.parentElement as HTMLElement).classList.toggle("p-unseen", !belief);
      setText(error!, belief ? beliefs.map((each) => `${each.isRear ? `${app.t("actor.rear")} ` : ""}${fixed(each.errorM, 2)} m`).join(" · ") : app.t("actor.unseen"));
      setText(speed!, belief ? `${belief.speedErrorMps >= 0 ? "+" : ""}${fixed(belief.speedErrorMps, 2)} m/s` : "");
      setText(sigma!, belief ? `${fixed(belief.sigmaM, 2)} m` : "");
      setText(age!, belief ? `${fixed(belief.ageMs, 0)} ms` : "");
    },
  };
}

function unitView(context: Context, view: HTMLElement, name: string): () => void {
  const { app } = context;
  const unit = unitCalled(app.run, name) ?? name;
  const rsu = app.run.meta.rsus.find((each) => (unitCalled(app.run, each.name) ?? each.name) === unit);
  view.append(
    el(
      "header",
      { class: "p-actor-head" },
      el("h3", {}, unit),
      rsu ? el("span", { class: "p-muted" }, `${fixed(rsu.x, 1)}, ${fixed(rsu.y, 1)} m · ${app.t("actor.range")} ${fixed(rsu.range_m, 0)} m`) : null,
    ),
  );
  return talkView(context, view, unit);
}

interface Talk {
  at: MessageAt;
  topic: number;
  sender: number;
  t: number;
  missed: number; // of this topic and sender since
  latencyUs: number;
}

const SENT_MS = 2500;

/** Tables of the last message of each topic that `unit` sent, and that it heard of each sender. */
function talkView(context: Context, view: HTMLElement, unit: string): () => void {
  const { app } = context;
  const { meta } = app.run;
  const traffic = Traffic.of(app.run);
  const sent = talkTable(app, app.t("actor.sent"), ["actor.topic", "actor.age", "actor.heard_by"]);
  const heard = talkTable(app, app.t("actor.heard"), ["actor.topic", "actor.from", "actor.age", "actor.latency", "actor.missed"]);
  view.append(sent.root, heard.root);
  const me = meta.units.indexOf(unit);
  const ear = meta.receivers.indexOf(unit);
  const blocks = new Map<number, { messages: Columns; fates: Columns | null }>();
  const asked = new Set<number>();

  context.on("live", () => {
    traffic.forgetLast();
    asked.clear();
  });

  function need(block: number): void {
    if (block < 0 || asked.has(block)) return;
    asked.add(block);
    void Promise.all([orNull(traffic.read(block)), orNull(app.run.block("fates", block))]).then(([messages, fates]) => {
      if (!context.isCurrent() || !messages) return;
      blocks.set(block, { messages, fates });
      for (const old of [...blocks.keys()].slice(0, -4)) {
        blocks.delete(old);
        asked.delete(old);
      }
      update();
    });
  }

  function update(): void {
    const now = app.timeMs;
    const block = Math.floor(now / app.run.blockMs);
    need(block);
    const isEarly = now - block * app.run.blockMs < SENT_MS;
    if (isEarly) need(block - 1);
    const own = new Map<number, Talk>();
    const others = new Map<string, Talk>();
    const missed = new Map<string, number>();
    for (const each of isEarly ? [block, block - 1] : [block]) {
      const held = blocks.get(each);
      if (!held) continue;
      const { t, topic, sender, fate0, rows } = held.messages as Record<string, Columns[string]>;
      for (let row = lastAtOrBefore(t!, now); row >= 0 && t![row]! > now - SENT_MS; row--) {
        const base = { at: { block: each, row }, topic: topic![row]!, sender: sender![row]!, t: t![row]!, missed: 0, latencyUs: 0 };
        if (sender![row] === me) {
          if (!own.has(base.topic)) own.set(base.topic, base);
          continue;
        }
        const key = `${base.sender}/${base.topic}`;
        if (ear < 0 || !held.fates || others.has(key)) continue;
        const latencyUs = heardAfter(held.fates, fate0![row]!, rows![row]!, meta.receivers.length, ear);
        if (latencyUs < 0 || base.t + latencyUs / 1000 > now) {
          if (latencyUs < 0) missed.set(key, (missed.get(key) ?? 0) + 1);
          continue;
        }
        others.set(key, { ...base, latencyUs, missed: missed.get(key) ?? 0 });
      }
    }
    sent.show(
      [...own.values()].sort((a, b) => a.topic - b.topic).map((talk) => {
        const line = traffic.line(talk.at);
        return { at: talk.at, cells: [meta.topics[talk.topic]!, `${fixed(now - talk.t, 0)} ms`, line?.rows ? `${line.heard} / ${line.heard + line.lost}` : (meta.topics[talk.topic] ?? "").startsWith("v2x/") ? "–" : app.t("actor.not_on_air")] };
      }),
    );
    heard.show(
      [...others.values()].sort((a, b) => a.topic - b.topic || a.sender - b.sender).map((talk) => ({
        at: talk.at,
        cells: [meta.topics[talk.topic]!, meta.units[talk.sender]!, `${fixed(now - talk.t, 0)} ms`, `${fixed(talk.latencyUs / 1000, 2)} ms`, talk.missed ? String(talk.missed) : ""],
      })),
    );
  }
  return update;
}

/** Microseconds after which `receiver` heard the first delivered row of a message, -1 when it heard none. */
export function heardAfter(fates: Columns, first: number, rows: number, receivers: number, receiver: number): number {
  let least = -1;
  for (let row = 0; row < rows; row++) {
    const index = first + row * receivers + receiver;
    if (fates.fate![index] !== DELIVERED) continue;
    const latency = fates.latency_us?.[index] ?? 0;
    if (least < 0 || latency < least) least = latency;
  }
  return least;
}

interface TalkRow {
  at: MessageAt;
  cells: string[];
}

function talkTable(app: App, title: string, heads: string[]): { root: HTMLElement; show(rows: TalkRow[]): void } {
  const body = el("tbody");
  const empty = el("p", { class: "p-muted" }, app.t("actor.silence"));
  const table = el("table", { class: "p-table p-talk" }, el("caption", {}, title), el("thead", {}, el("tr", {}, ...heads.map((key) => el("th", { scope: "col" }, app.t(key))))), body);
  const held: { root: HTMLElement; button: HTMLElement; cells: HTMLElement[]; at: MessageAt | null }[] = [];
  return {
    root: el("div", {}, table, empty),
    show(rows) {
      empty.hidden = rows.length > 0;
      while (held.length < rows.length) {
        const button = el("button", { type: "button", class: "p-link", title: app.t("actor.open_message") });
        const cells = heads.slice(1).map(() => el("td"));
        const root = el("tr", {}, el("th", { scope: "row" }, button), ...cells);
        const line: (typeof held)[number] = { root, button, cells, at: null };
        button.addEventListener("click", () => line.at && app.selectMessage(line.at));
        held.push(line);
        body.append(root);
      }
      held.forEach((line, index) => {
        const row = rows[index];
        line.root.hidden = !row;
        if (!row) return;
        line.at = row.at;
        setText(line.button, row.cells[0]!);
        line.cells.forEach((cell, column) => setText(cell, row.cells[column + 1]!));
      });
    },
  };
}
