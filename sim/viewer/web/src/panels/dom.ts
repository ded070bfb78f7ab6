// Elements without markup from data: text goes in as text, never as HTML.
import { plain } from "../plain";

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: never) => void)>;

/** An element: attributes ("class", "aria-label", ...; true sets an empty one, null none), listeners as `onclick`, children. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element: Element, children: Child[]): void {
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(typeof child === "string" ? plain(child) : child);
}

/** Sets text only where it changed: layout stays untouched otherwise. */
export function setText(element: Element, text: string): void {
  const shown = plain(text);
  if (element.textContent !== shown) element.textContent = shown;
}

export function setAttribute(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** A labelled drop-down; `options` as [value, text]. */
export function choice(label: string, options: [string, string][], value: string, change: (value: string) => void): HTMLLabelElement {
  const select = el("select", { "aria-label": label });
  for (const [key, text] of options) select.append(el("option", { value: key, selected: key === value }, text));
  select.addEventListener("change", () => change(select.value));
  return el("label", { class: "p-field" }, el("span", {}, label), select);
}

/** A search box that tells after a short rest. */
export function searchBox(label: string, value: string, change: (text: string) => void, help = ""): HTMLLabelElement {
  const input = el("input", { type: "search", placeholder: label, "aria-label": label, spellcheck: "false", autocomplete: "off" });
  input.value = value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => change(input.value), 150);
  });
  return el("label", { class: "p-field p-search", title: help || null }, input);
}

/** A button that stays pressed. */
export function toggle(label: string, pressed: boolean, change: (pressed: boolean) => void): HTMLButtonElement {
  const button = el("button", { type: "button", class: "p-toggle", "aria-pressed": String(pressed) }, label);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    change(now);
  });
  return button;
}
