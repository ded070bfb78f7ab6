// What run this is, its verdict, and the switches of the page.
import type { DataError } from "../data/columns";
import { LAYERS, type Mode, type ViewerApp } from "../app";
import { recorded } from "../i18n/recorded";
import { plain } from "../plain";
import { element, icon, iconButton, popover, say, translated } from "./dom";

const QUIET_MS = 40_000; // a log grows at least each 30 s of a run in step with the clock

export function mountHeader(parent: HTMLElement, app: ViewerApp, link: () => string, help: HTMLDialogElement, togglePanels: () => void): void {
  const header = element("header", "top", parent);
  const { meta } = app.run;
  const badge = element("span", "badge", header);
  const title = element("h1", "", header);
  const sentence = element("span", "sentence", header);
  const facts = element("span", "facts", header);
  const write = (): void => {
    const now = app.run.meta;
    const outcome = app.isLive ? "live" : now.outcome;
    const key = `outcome.${outcome.toLowerCase().split(/[ _-]/)[0] || "none"}`;
    const known = app.t(key);
    say(badge, known === key ? outcome.toUpperCase() : known);
    badge.className = `badge ${outcome === "pass" ? "good" : outcome === "fail" ? "bad" : outcome === "live" ? "live" : "warn"}`;
    badge.hidden = app.run.id === "";
    say(title, now.scenario || "icv");
    const words = app.isLive ? app.t("live.sentence") : recorded(app, now.sentence);
    say(sentence, words);
    sentence.title = words;
    say(facts, app.run.id === "" ? "" : [`${app.t("seed")} ${now.seed}`, now.digest && `${app.t("digest")} ${now.digest.slice(0, 12)}`].filter(Boolean).join(" · "));
    facts.title = `${now.digest}\n${now.commit}`;
    document.title = `${plain(now.scenario) || "icv"}${badge.hidden ? "" : ` · ${badge.textContent}`}`;
  };
  translated(app, write);
  app.on("live", write);

  if (app.other) {
    const other = app.other;
    const group = element("div", "segmented", header);
    const against = element("span", "against", group);
    translated(app, () => say(against, app.t("compared")));
    const who = element("span", "against-name", group);
    say(who, other.meta.scenario === meta.scenario ? other.meta.digest.slice(0, 8) : other.meta.scenario);
    who.title = `${other.meta.scenario}, ${app.t("seed")} ${other.meta.seed}, ${other.meta.digest}`;
    for (const mode of ["overlay", "split", "single"] as Mode[]) {
      const button = element("button", "", group);
      button.type = "button";
      button.addEventListener("click", () => app.setMode(mode));
      translated(app, () => say(button, app.t(`mode.${mode}`)));
      const show = (): void => {
        button.classList.toggle("on", app.mode === mode);
        button.setAttribute("aria-pressed", String(app.mode === mode));
      };
      show();
      app.on("view", show);
    }
  }

  const tools = element("div", "tools", header);
  if (app.run.id !== "") {
    const wrap = element("div", "popover-anchor", tools);
    const layers = iconButton(app, wrap, "layers", "layers", () => undefined);
    const list = element("div", "popover", wrap);
    for (const name of LAYERS) {
      if (name === "differences" && !app.other) continue;
      const label = element("label", "", list);
      const box = element("input", "", label);
      box.type = "checkbox";
      box.checked = app.layers[name];
      box.addEventListener("change", () => app.setLayer(name, box.checked));
      const text = element("span", "", label);
      translated(app, () => say(text, app.t(`layer.${name}`)));
    }
    popover(layers, list);
    const share = iconButton(app, tools, "link", "share", () => {
      const done = (): void => {
        share.classList.add("on");
        share.title = app.t("copied");
        setTimeout(() => {
          share.classList.remove("on");
          share.title = app.t("share");
        }, 1200);
      };
      // The address holds the moment in any case; the clipboard may be forbidden.
      const address = link();
      navigator.clipboard?.writeText(address).then(done, () => undefined);
    });
  }
  const language = element("button", "btn ghost", tools);
  language.type = "button";
  language.id = "language";
  language.addEventListener("click", () => app.setLanguage(app.language === "en" ? "zh" : "en"));
  translated(app, () => {
    say(language, app.t("language"));
    language.title = app.t("language.hint");
  });
  iconButton(app, tools, "sun", "theme", () => app.setTheme(app.theme === "light" ? "dark" : "light"));
  iconButton(app, tools, "help", "help", () => help.showModal());
  if (app.run.id !== "") iconButton(app, tools, "panels", "panels.hide", togglePanels);

  // What is wrong may come later: a run in progress breaks off, a server goes away.
  warning(parent, app, "lost", () => (app.run.meta.lost ? app.t("lost") + recorded(app, app.run.meta.lost) : ""));
  if (app.other) warning(parent, app, "lost", () => (app.other?.meta.lost ? `${app.t("run.b")}: ${app.t("lost")}${recorded(app, app.other.meta.lost)}` : ""));
  const runs = [app.run, app.other] as { isAway?: boolean; quietMs?: number; problem?: DataError | null }[];
  warning(parent, app, "away", () => (runs.some((run) => run?.isAway) ? app.t("away") : ""));
  warning(parent, app, "quiet", () => {
    const quiet = runs.some((run) => run?.isAway) ? 0 : Math.max(...runs.map((run) => run?.quietMs ?? 0));
    return quiet > QUIET_MS ? app.t("quiet").replace("{s}", (quiet / 1000).toFixed(0)) : "";
  });
  warning(parent, app, "unread", () => {
    const problem = runs.map((run) => run?.problem).find(Boolean);
    return problem ? app.t("unread") + ((app.language === "zh" && problem.chinese) || problem.message) : "";
  });
}

/** A strip below the header that is there while `text` says something. */
function warning(parent: HTMLElement, app: ViewerApp, name: string, text: () => string): void {
  const strip = element("div", `strip ${name}`, parent);
  strip.setAttribute("role", "status");
  strip.append(icon("help"));
  const line = element("span", "", strip);
  app.addDrawer(() => {
    const now = text();
    strip.hidden = now === "";
    say(line, now);
    line.title = line.textContent ?? "";
    return true;
  });
}
