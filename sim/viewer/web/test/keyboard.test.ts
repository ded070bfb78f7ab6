// @vitest-environment happy-dom
// Who gets a key: the element with the focus, or the page.
import { beforeEach, describe, expect, test } from "vitest";
import { isOfTarget } from "../src/shell/keyboard";

beforeEach(() => {
  document.body.innerHTML = `
    <div class="panel-host"><button id="in">x</button><input id="text" type="search"><input id="check" type="checkbox"><select id="select"></select>
      <div id="list" tabindex="0" role="grid"></div><details><summary id="summary"></summary></details><a id="link" href="#x"></a><p id="words"></p></div>
    <button id="out"></button><input id="range" type="range"><div id="slider" role="slider" tabindex="0"></div>`;
});
const owns = (id: string, key: string): boolean => isOfTarget(document.getElementById(id)!, key);

describe("keys", () => {
  test("space presses what can be pressed, and plays elsewhere", () => {
    for (const id of ["in", "check", "summary", "link", "text", "select"]) expect(owns(id, " "), id).toBe(true);
    for (const id of ["list", "words", "slider", "range"]) expect(owns(id, " "), id).toBe(false);
    const [inside, outside] = ["in", "out"].map((id) => document.getElementById(id)!);
    expect([isOfTarget(outside!, " "), isOfTarget(outside!, " ", true), isOfTarget(inside!, " ", true)]).toEqual([true, false, true]); // clicked or reached by keys
  });

  test("left and right move the playhead from anywhere in a panel but a field", () => {
    for (const key of ["ArrowLeft", "ArrowRight"]) {
      for (const id of ["in", "check", "list", "words", "summary", "link"]) expect(owns(id, key), id).toBe(false);
      for (const id of ["text", "select"]) expect(owns(id, key), id).toBe(true);
    }
  });

  test("up and down scroll a panel, and change the speed outside", () => {
    for (const key of ["ArrowUp", "ArrowDown", "Home", "End"]) {
      for (const id of ["in", "list", "words"]) expect(owns(id, key), id).toBe(true);
      for (const id of ["out", "slider"]) expect(owns(id, key), id).toBe(false);
    }
  });

  test("the speed's slider keeps its arrows", () => {
    expect([owns("range", "ArrowLeft"), owns("range", "ArrowUp"), owns("range", "l")]).toEqual([true, true, false]);
  });

  test("letters typed into a field stay there", () => {
    expect([owns("text", "l"), owns("select", "t"), owns("check", "l"), owns("in", "l"), owns("range", "l")]).toEqual([true, true, false, false, false]);
  });
});
