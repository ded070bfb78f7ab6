// What run this is, its verdict, and the switches of the page.
import { LAYERS, type Mode, type ViewerApp } from "../app";
import { recorded } from "../i18n/recorded";
import { element, icon, iconButton, popover, say, translated } from "./dom";

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
    document.title = `${now.scenario || "icv"}${badge.hidden ? "" : ` · ${badge.textContent}`}`;
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

  if (meta.lost) {
    const strip = element("div", "lost", parent);
    strip.append(icon("help"));
    const text = element("span", "", strip);
    translated(app, () => say(text, app.t("lost") + recorded(app, app.run.meta.lost ?? "")));
  }
}
