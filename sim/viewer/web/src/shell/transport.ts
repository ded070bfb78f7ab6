// Play, pause, speed, and the line of time.
import { MAX_SPEED, MIN_SPEED, type ViewerApp } from "../app";
import { element, icon, iconButton, say, translated } from "./dom";
import { clock } from "./moments";
import { Timeline } from "./timeline";

export function mountTransport(parent: HTMLElement, app: ViewerApp): Timeline {
  const bar = element("footer", "transport", parent);
  const buttons = element("div", "transport-buttons", bar);
  const start = iconButton(app, buttons, "start", "start", () => app.seek(0));
  start.classList.add("only-wide");
  const play = iconButton(app, buttons, "play", "play", () => app.play(!app.playing));
  play.id = "play";
  play.classList.add("play");
  const face = (): void => {
    play.replaceChildren(icon(app.playing ? "pause" : "play"));
    play.title = app.t(app.playing ? "pause" : "play");
    play.setAttribute("aria-label", play.title);
  };
  app.on("play", face);
  app.on("language", face);

  const times = element("div", "times", bar);
  const now = element("span", "time-now", times);
  const total = element("span", "time-total", times);
  const live = element("button", "chip live", times);
  live.type = "button";
  live.addEventListener("click", () => app.goLive());
  const readTotal = (): void => {
    say(total, `/ ${clock(app.durationMs)}`);
    say(live, app.t("live"));
    live.hidden = !app.isLive;
  };
  readTotal();
  app.on("live", readTotal);
  app.on("language", readTotal);
  app.addDrawer(() => {
    say(now, clock(app.timeMs));
    return true;
  });

  const timeline = new Timeline(bar, app);

  const speed = element("label", "speed", bar);
  const slider = element("input", "", speed);
  slider.type = "range";
  // A logarithmic scale with room for a notch at 1.
  slider.min = "0";
  slider.max = "1000";
  const span = Math.log(MAX_SPEED / MIN_SPEED);
  const value = element("span", "speed-value", speed);
  slider.addEventListener("input", () => {
    const raw = MIN_SPEED * Math.exp((Number(slider.value) / 1000) * span);
    const nice = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((s) => Math.abs(Math.log(raw / s)) < 0.1);
    app.setSpeed(nice ?? Number(raw.toPrecision(2)));
  });
  // By keys from one usual speed to the next: a single notch of the scale would snap back.
  slider.addEventListener("keydown", (event) => {
    const direction = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (direction === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    app.stepSpeed(direction as 1 | -1);
  });
  slider.addEventListener("pointerup", () => slider.blur()); // who drags it by the mouse goes on with the playhead's arrows
  const show = (): void => {
    slider.value = String(Math.round((Math.log(app.speed / MIN_SPEED) / span) * 1000));
    say(value, `${Number(app.speed.toPrecision(2))}×`);
    slider.setAttribute("aria-valuetext", value.textContent ?? "");
  };
  show();
  app.on("play", show);
  value.addEventListener("click", (event) => {
    event.preventDefault();
    app.setSpeed(1);
  });
  translated(app, () => {
    speed.title = app.t("speed");
    slider.setAttribute("aria-label", app.t("speed"));
  });
  return timeline;
}
