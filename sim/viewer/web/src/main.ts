// Where the page begins: finds its run, in itself or on the server, and puts the parts together.
import "./styles.css";
import { ViewerApp } from "./app";
import { DataError } from "./data/columns";
import { EmbeddedRun } from "./data/embedded";
import { completeMeta } from "./data/manifest";
import { prefetch } from "./data/prefetch";
import { EmptyRun, type SectionRun } from "./data/run";
import { listRuns, ServerRun } from "./data/server";
import { parseHash } from "./hash";
import { bindPlace } from "./place";
import { panels } from "./panels/index";
import { element, say } from "./shell/dom";
import { mountHeader } from "./shell/header";
import { mountHelp } from "./shell/help";
import { bindKeys } from "./shell/keyboard";
import { SceneArea } from "./shell/scenes";
import { Side } from "./shell/side";
import { mountTransport } from "./shell/transport";

const RUNS_PANEL = "runs";

async function findRuns(): Promise<{ run: SectionRun; other: SectionRun | null }> {
  const embedded = EmbeddedRun.find("a");
  if (embedded) return { run: embedded, other: EmbeddedRun.find("b") };
  const query = new URLSearchParams(location.search);
  let id = query.get("run");
  if (id === null) {
    const runs = await listRuns();
    if (runs.length === 1) id = runs[0].id;
  }
  if (id === null) return { run: new EmptyRun("", { format: 1, meta: completeMeta({}), block_ms: 30_000, tables: {}, sections: {} }), other: null };
  const second = query.get("other") ?? query.get("with");
  const [run, other] = await Promise.all([ServerRun.open(id), second ? ServerRun.open(second) : Promise.resolve(null)]);
  return { run, other };
}

function apply(app: ViewerApp): void {
  const shown = (): void => {
    document.documentElement.lang = app.language === "zh" ? "zh-CN" : "en";
  };
  shown();
  app.on("language", shown);
  document.documentElement.dataset.theme = app.theme;
}

async function start(): Promise<ViewerApp | null> {
  const root = document.getElementById("icv") ?? document.body.appendChild(document.createElement("div"));
  root.id = "icv";
  root.replaceChildren();
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("error.old");
    const { run, other } = await findRuns();
    const app = new ViewerApp(run, other);
    const place = parseHash(location.hash);
    if (place.language) app.language = place.language;
    app.tab = place.tab;
    apply(app);
    for (const each of [run, other]) if (each instanceof ServerRun) each.onGrowth(() => app.tell("live"));
    build(root, app);
    if (app.isLive && place.timeMs === null) app.goLive();
    for (const each of [run, other]) if (each && each.id !== "") prefetch(each, () => app.timeMs, () => app.playing || app.isLive || !app.frame.complete);
    return app;
  } catch (error) {
    const app = new ViewerApp(new EmptyRun("", { format: 1, meta: completeMeta({}), block_ms: 30_000, tables: {}, sections: {} }), null);
    app.language = parseHash(location.hash).language ?? app.language;
    apply(app);
    const box = element("div", "fatal", root);
    say(element("h1", "", box), app.t("error.title"));
    const inChinese = app.language === "zh" && error instanceof DataError ? error.chinese : "";
    const message = inChinese || (error instanceof Error ? error.message : String(error));
    say(element("p", "", box), app.t(message));
    if (location.search) {
      const back = element("a", "", box);
      back.href = location.pathname;
      say(back, app.t("error.back"));
    }
    return null;
  }
}

function build(root: HTMLElement, app: ViewerApp): void {
  const help = mountHelp(root, app);
  let side: Side | null = null;
  const togglePanels = (): void => side?.toggle();
  mountHeader(root, app, () => link(), help, togglePanels);
  const middle = element("main", "middle", root);
  if (app.run.id === "") {
    // Only the list of runs.
    const host = element("div", "panel-host alone", middle);
    host.dataset.panel = RUNS_PANEL;
    panels.find((panel) => panel.key === RUNS_PANEL)?.mount(host, app);
    return;
  }
  const link = bindPlace(app);
  const isReport = app.run.id === "report";
  const scenes = new SceneArea(middle, app);
  side = new Side(middle, app, panels.filter((panel) => !(isReport && panel.key === RUNS_PANEL)));
  const timeline = mountTransport(root, app);
  bindKeys({ app, scenes, moments: () => timeline.moments, help, togglePanels });
  Object.assign((window as unknown as { icv: Record<string, unknown> }).icv, { scenes });
}

const ready = new Promise<void>((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => resolve());
  else resolve();
}).then(start);
// For people who look from the console, and for tests in a browser.
(window as unknown as { icv: Record<string, unknown> }).icv = { ready };
void ready.then((app) => Object.assign((window as unknown as { icv: Record<string, unknown> }).icv, { app, frame: app?.frame }));
