// Panels in tabs beside the scene. A panel is made when its tab is first opened.
import type { Panel } from "../model";
import type { ViewerApp } from "../app";
import { recall, remember } from "../memory";
import { element, say, translated } from "./dom";

const NARROWEST = 280;
const KEEP_FOR_SCENE = 320;

export class Side {
  private readonly root: HTMLElement;
  private readonly splitter: HTMLElement;
  private readonly hosts = new Map<string, HTMLElement>();
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly body: HTMLElement;
  private wished: number; // width that was asked for, px; a narrow window gives less for a while

  constructor(private readonly parent: HTMLElement, private readonly app: ViewerApp, private readonly panels: Panel[]) {
    this.splitter = element("div", "splitter", parent);
    this.root = element("aside", "side", parent);
    const tabs = element("div", "tabs", this.root);
    tabs.setAttribute("role", "tablist");
    tabs.addEventListener("wheel", (event) => (tabs.scrollLeft += event.deltaY), { passive: true });
    const edges = (): void => {
      tabs.classList.toggle("more-left", tabs.scrollLeft > 2);
      tabs.classList.toggle("more-right", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 2);
    };
    tabs.addEventListener("scroll", edges);
    new ResizeObserver(edges).observe(tabs);
    app.on("language", edges);
    this.body = element("div", "side-body", this.root);
    for (const panel of panels) {
      const button = element("button", "tab", tabs);
      button.type = "button";
      button.id = `tab-${panel.key}`;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-controls", `panel-${panel.key}`);
      button.addEventListener("click", () => this.open(panel.key));
      translated(app, () => say(button, app.t(`panel.${panel.key}`)));
      this.buttons.set(panel.key, button);
    }
    const width = Number(recall("side"));
    const usual = (): number => Math.min(520, Math.max(340, innerWidth * 0.34));
    this.wished = width > 0 ? width : 0;
    const fit = (): void => this.resize(this.wished || usual());
    fit();
    this.drag();
    window.addEventListener("resize", fit);
    app.openTab = (key) => this.open(key);
    if (panels.length === 0) this.toggle();
    else this.open(panels.some((panel) => panel.key === app.tab) ? (app.tab as string) : panels[0].key);
    const hidden = recall("side.hidden");
    // On a phone the scene first: both have no room side by side.
    if (hidden === "yes" || (hidden === null && innerWidth < NARROWEST + KEEP_FOR_SCENE)) this.hide(true);
  }

  open(key: string): void {
    const panel = this.panels.find((each) => each.key === key);
    if (!panel) return;
    for (const [other, host] of this.hosts) host.style.display = other === key ? "" : "none";
    for (const [other, button] of this.buttons) {
      button.classList.toggle("on", other === key);
      button.setAttribute("aria-selected", String(other === key));
    }
    this.buttons.get(key)?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.app.tab = key;
    if (!this.hosts.has(key)) {
      const host = element("div", "panel-host", this.body);
      host.dataset.panel = key;
      host.id = `panel-${key}`;
      host.setAttribute("role", "tabpanel");
      host.setAttribute("aria-labelledby", `tab-${key}`);
      this.hosts.set(key, host);
      try {
        panel.mount(host, this.app);
      } catch (error) {
        console.error(error);
      }
    }
    this.app.tell("view");
  }

  toggle(): void {
    this.hide(!this.root.hidden);
    remember("side.hidden", this.root.hidden ? "yes" : "no");
  }

  private hide(isHidden: boolean): void {
    this.root.hidden = isHidden;
    this.splitter.hidden = isHidden;
  }

  private widen(width: number): void {
    this.resize(width);
    this.wished = parseFloat(this.root.style.width);
  }

  private resize(width: number): void {
    const room = this.parent.clientWidth || innerWidth;
    const w = Math.round(Math.max(NARROWEST, Math.min(width, room - KEEP_FOR_SCENE)));
    this.root.style.width = `${w}px`;
    this.splitter.setAttribute("aria-valuenow", String(w));
    this.splitter.setAttribute("aria-valuemin", String(NARROWEST));
    this.splitter.setAttribute("aria-valuemax", String(Math.max(NARROWEST, room - KEEP_FOR_SCENE)));
  }

  private drag(): void {
    let isDown = false;
    this.splitter.tabIndex = 0;
    this.splitter.setAttribute("role", "separator");
    this.splitter.setAttribute("aria-orientation", "vertical");
    translated(this.app, () => this.splitter.setAttribute("aria-label", this.app.t("splitter")));
    this.splitter.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: 40, ArrowRight: -40 }[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.widen(parseFloat(this.root.style.width) + step);
      remember("side", String(this.wished));
    });
    this.splitter.addEventListener("pointerdown", (event) => {
      isDown = true;
      this.splitter.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.splitter.addEventListener("pointermove", (event) => {
      if (isDown) this.widen(this.parent.getBoundingClientRect().right - event.clientX);
    });
    for (const type of ["pointerup", "pointercancel"] as const)
      this.splitter.addEventListener(type, () => {
        if (isDown) remember("side", String(this.wished));
        isDown = false;
      });
  }
}
