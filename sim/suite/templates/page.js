"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Text always goes in as text: nothing here writes markup.
  function make(tag, attributes = {}, ...children) {
    const node = ["svg", "g", "path", "circle", "rect", "line", "text", "title"].includes(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "click") node.addEventListener("click", value);
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  // ---- words ------------------------------------------------------------------------------------------------------
  const words = {
    en: {
      "o.pass": "passed", "o.fail": "failed", "o.bad_input": "bad input", "o.infrastructure_error": "infrastructure error",
      "o.nothing_ran": "nothing ran", "o.flaky": "flaky",
      criterion: "criterion", value: "value", limit: "limit", what: "what happened", at: "at", figures: "Figures",
      criteria_title: "Criteria", about: "About the run", log: "log", output: "what it printed", carried: "from an earlier call", report: "report", result: "result.json", again: "Run it again",
      repetitions: "Repetitions, which disagreed", digest: "digest", map: "road file", cpu: "processor", worker: "worker", scene: "scene", suite_of: "from suite",
      sweep: "Sweep", across: "across", down: "down", show: "show", outcome: "outcome", lowest: "lowest", highest: "highest",
      press: "Press a cell or a point to see its runs.", shown: (n, m) => (n === m ? `${m} runs` : `${n} of ${m} runs`), fold: "Fold all", unfold: "Unfold all", of_passed: "passed",
      nothing_here: "no figures: the run did not get that far",
    },
    zh: {
      "o.pass": "通过", "o.fail": "未通过", "o.bad_input": "输入有误", "o.infrastructure_error": "基础设施错误", "o.nothing_ran": "没有运行", "o.flaky": "不稳定",
      suite: "测试套件", skip: "跳到结果", theme: "浅色、深色或跟随系统", tasks: "运行数", wall: "用时", workers: "工作进程数", started: "开始时间", commit: "提交",
      empty: "没有场景运行，因此没有可显示的内容。", runs: "运行", all: "全部", filter: "只显示", search: "搜索名称、键=值、说明", unfold: "全部展开", fold: "全部收起",
      interrupted: "测试套件被中断；以下运行没有进行：", first: "请先看这些", disagreed: "重复运行的结果不一致：", more: "还有", status: "结论", scenario: "场景", said: "说明", criteria: "判据", memory: "内存", none: "没有匹配的结果。", reset: "显示全部", versions: "版本与快捷键",
      "key.search": "搜索", "key.move": "下一个、上一个运行", "key.open": "展开", "key.clear": "显示全部",
      criterion: "判据", value: "数值", limit: "限值", what: "发生了什么", at: "时刻", figures: "指标", criteria_title: "判据", about: "运行信息", log: "日志", output: "程序输出", carried: "来自之前的调用", report: "报告",
      result: "result.json", again: "重新运行", repetitions: "结果不一致的重复运行", digest: "摘要", map: "道路文件", cpu: "处理器时间", worker: "工作进程", scene: "场景文件", suite_of: "所属套件",
      sweep: "参数扫描", sweeps: "参数扫描", across: "横轴", down: "纵轴", show: "显示", outcome: "结论", lowest: "最小", highest: "最大",
      press: "点击单元格或数据点可查看对应的运行。", shown: (n, m) => (n === m ? `共 ${m} 个运行` : `${m} 个运行中的 ${n} 个`), of_passed: "通过",
      nothing_here: "没有数据：运行没有进行到这一步",
    },
  };
  const english = {};  // what the page says as it comes
  let language = "en";
  const say = (key, ...values) => {
    const word = words[language][key] ?? words.en[key] ?? english[key] ?? key;
    return typeof word === "function" ? word(...values) : word;
  };
  // A recorded sentence, name of a criterion or of a figure, in the page's language; what has no translation stays as recorded.
  const said = (text) => (language === "zh" && Object.hasOwn(data.zh, text) ? data.zh[text] : text);
  const memory = {  // a page from disk may not be allowed to remember
    get(key) { try { return localStorage.getItem("icv." + key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem("icv." + key, value); } catch { /* then not */ } },
  };

  function translate(root = document) {
    const attributes = [["data-t-label", "aria-label"], ["data-t-placeholder", "placeholder"]];
    for (const node of $$("[data-t]", root)) {
      english[node.dataset.t] ??= node.textContent;
      node.textContent = say(node.dataset.t);
    }
    for (const node of $$("[data-said]", root)) {
      node.dataset.said ||= node.textContent;
      node.textContent = said(node.dataset.said);
    }
    for (const [source, target] of attributes) {
      for (const node of $$(`[${source}]`, root)) {
        english[node.getAttribute(source)] ??= node.getAttribute(target);
        node.setAttribute(target, say(node.getAttribute(source)));
      }
    }
  }
  function speak(wanted) {
    language = wanted;
    document.documentElement.lang = wanted === "zh" ? "zh-CN" : "en";
    $("#lang").textContent = wanted === "zh" ? "English" : "中文";
    $("#lang").lang = wanted === "zh" ? "en" : "zh";
    translate();
    document.title = [$(".verdict [data-t]").textContent, $("#name").textContent, `icv ${say("suite")}`].join(" · ");
    $(".bar")?.setAttribute("aria-label", $$(".chip:not([data-filter=all])").map((chip) => `${$("b", chip).textContent} ${say("o." + chip.dataset.filter)}`).join(", "));
    for (const row of $$("tr.more")) { fill(row, runs[row.dataset.of]); }
    drawSweeps();
    if (runs.length) apply();
  }
  $("#lang").addEventListener("click", () => { speak(language === "en" ? "zh" : "en"); memory.set("lang", language); });

  const themes = ["auto", "light", "dark"];
  function paint(theme) {
    document.documentElement.dataset.theme = theme;
    $("#theme span").textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  }
  $("#theme").addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
    paint(next); memory.set("theme", next); drawSweeps();
  });

  // ---- figures ----------------------------------------------------------------------------------------------------
  const marks = { pass: "✓", fail: "✗", bad_input: "?", infrastructure_error: "!", nothing_ran: "○", flaky: "≈" };
  function figure(value, unit = "") {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    const text = Number.isInteger(value) && size < 1e12 ? String(value)
      : size >= 1e6 || (size && size < 1e-4) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
    return (text + " " + unit.replace(/(m\/s|m)([23])$/, (_, base, power) => base + { 2: "²", 3: "³" }[power])).trim();
  }

  // ---- rows that unfold -------------------------------------------------------------------------------------------
  const body = $("#runs tbody");
  const rows = body ? $$("tr.run", body) : [];

  function criteria(run) {
    const head = make("tr", {}, ...["", say("criterion"), say("value"), say("limit"), say("at"), say("what")].map((word, k) =>
      make("th", { scope: "col", class: k > 1 && k < 5 ? "num" : null }, word)));
    const lines = [...run.criteria].sort((a, b) => a.passed - b.passed).map((c) => make("tr", { class: c.passed ? null : "is-failed" },
      make("td", { class: c.passed ? "o-pass" : "o-fail" }, make("span", { class: "mark", role: "img", "aria-label": say(c.passed ? "o.pass" : "o.fail") }, c.passed ? "✓" : "✗")),
      make("td", {}, said(c.name)), make("td", { class: "num", "data-label": say("value") }, figure(c.value, c.unit)), make("td", { class: "num", "data-label": say("limit") }, figure(c.limit, c.unit)),
      make("td", { class: "num", "data-label": say("at") }, c.t_s === null ? "" : figure(c.t_s, "s")), make("td", {}, said(c.sentence))));
    return make("table", { class: "criteria" }, make("thead", {}, head), make("tbody", {}, ...lines));
  }
  function pairs(list) {
    return make("dl", { class: "pairs" }, ...list.filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .map(([name, value]) => make("div", { class: value.length > 24 ? "wide" : null }, make("dt", {}, name), make("dd", {}, value))));
  }
  function fill(row, run) {
    const inside = make("div", { class: "inside" });
    const part = (title, ...content) => inside.append(make("section", {}, title ? make("h3", {}, title) : null, ...content));
    if (run.links.length) {
      part("", make("p", { class: "links" }, ...run.links.map(([kind, href]) => make("a", { href }, `${say(kind)} ↗`))));
    }
    if (run.siblings.length) {
      part(say("repetitions"), make("div", { class: "siblings" }, ...run.siblings.map((k) => make("button", { type: "button", click: () => reveal(k) },
        `${marks[runs[k].outcome]} ${runs[k].id} · ${runs[k].digest || "–"}`))));
    }
    if (run.criteria.length) part(say("criteria_title"), criteria(run));
    if (run.metrics.length) part(say("figures"), pairs(run.metrics.map(([name, value]) => [said(name), figure(value)])));
    else if (!run.criteria.length) part("", make("p", {}, say("nothing_here")));
    part(say("about"), pairs([
      ...run.overrides.map(([key, value]) => [key, value]), [say("suite_of"), run.suite], [say("digest"), run.digest], [say("map"), run.map_digest.slice(0, 16)],
      [say("cpu"), run.cpu_s ? figure(run.cpu_s, "s") : ""], [say("worker"), run.worker < 0 ? "" : String(run.worker)],
      [say("carried"), run.is_carried ? "✓" : ""],
    ]));
    part(say("again"), make("code", { class: "again", tabindex: "0" }, run.command));
    row.firstElementChild.replaceChildren(inside);
  }
  function toggle(row, open) {
    const button = $(".open", row);
    const is = button.getAttribute("aria-expanded") === "true";
    if (open === undefined) open = !is;
    if (open === is) return;
    button.setAttribute("aria-expanded", String(open));
    row.classList.toggle("is-open", open);
    if (open) {
      const k = Number(row.dataset.index);
      const more = make("tr", { class: "more", id: `more-${k}`, "data-of": String(k) }, make("td", { colspan: "6" }));
      fill(more, runs[k]);
      more.hidden = row.hidden;
      row.after(more);
      button.setAttribute("aria-controls", more.id);
    } else {
      document.getElementById(`more-${row.dataset.index}`)?.remove();
      button.removeAttribute("aria-controls");
    }
  }
  function reveal(k) {
    const row = rows.find((one) => one.dataset.index === String(k));
    if (row.hidden) clear();
    toggle(row, true);
    row.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    $(".open", row).focus({ preventScroll: true });
  }
  for (const link of $$(".first a")) link.addEventListener("click", (event) => { event.preventDefault(); reveal(Number(link.hash.slice(5))); });
  body?.addEventListener("click", (event) => {
    const row = event.target.closest("tr.run");
    if (row && !event.target.closest("a") && String(getSelection()) === "") toggle(row);
  });

  // ---- filter, search, sort ---------------------------------------------------------------------------------------
  const state = { filter: "all", search: "", cell: null };
  const haystack = runs.map((run) => [run.id, run.scene, run.sentence, run.suite, run.digest, ...run.overrides.map((pair) => pair.join("=")),
    ...run.criteria.filter((c) => !c.passed).flatMap((c) => [c.name, c.sentence])].flatMap((text) => [text, data.zh[text] ?? ""]).join("\n").toLowerCase());

  function wants(k) {
    const run = runs[k];
    const kind = state.filter === "all" || (state.filter === "flaky" ? run.is_flaky : run.outcome === state.filter);
    return kind && (!state.cell || state.cell.has(k)) && state.search.toLowerCase().split(/\s+/).every((word) => haystack[k].includes(word));
  }
  function apply() {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !wants(Number(row.dataset.index));
      const more = document.getElementById(`more-${row.dataset.index}`);
      if (more) more.hidden = row.hidden;
      shown += !row.hidden;
    }
    $("#shown").textContent = say("shown", shown, rows.length);
    $("#none").hidden = shown > 0;
    for (const chip of $$(".chip")) chip.setAttribute("aria-pressed", String(chip.dataset.filter === state.filter && !state.cell));
    const isOpen = rows.some((row) => !row.hidden && row.classList.contains("is-open"));
    $("#unfold").textContent = say(isOpen ? "fold" : "unfold");
  }
  function clear() {
    Object.assign(state, { filter: "all", search: "", cell: null });
    $("#search").value = "";
    apply();
  }
  function sort(button) {
    const head = button.closest("th");
    const column = button.dataset.sort;
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of $$("#runs thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => {
      const cell = $(`.c-${column}`, row);
      if (button.dataset.kind === "text") return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const keyed = rows.map((row) => [value(row), Number(row.dataset.index), row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;  // what has no figure stays last
      const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return (ascending ? order : -order) || i - j;
    });
    const together = document.createDocumentFragment();
    rows.length = 0;
    for (const [, k, row] of keyed) {
      const more = document.getElementById(`more-${k}`);
      rows.push(row);
      together.append(row, ...(more ? [more] : []));
    }
    body.append(together);
  }
  if (runs.length) {
    for (const chip of $$("[data-filter]")) {
      chip.addEventListener("click", () => {
        Object.assign(state, { filter: chip.dataset.filter, cell: null });
        apply();
        if (!chip.matches(".chip")) $("#results").scrollIntoView({ block: "start" });
      });
    }
    $("#search").addEventListener("input", (event) => { state.search = event.target.value.trim(); apply(); });
    $("#reset").addEventListener("click", clear);
    $("#unfold").addEventListener("click", () => {
      const visible = rows.filter((row) => !row.hidden);
      const open = !visible.some((row) => row.classList.contains("is-open"));
      for (const row of open ? visible.slice(0, 200) : visible) toggle(row, open);  // more is more than anybody reads
      apply();
    });
    for (const button of $$("#runs thead button")) button.addEventListener("click", () => sort(button));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !runs.length) return;
    const isTyping = event.target.matches("input, select, textarea");
    if (event.key === "Escape") { clear(); if (isTyping) event.target.blur(); return; }
    if (isTyping) return;
    if (event.key === "/") { event.preventDefault(); $("#search").focus(); }
    if (event.key === "j" || event.key === "k") {
      const visible = rows.filter((row) => !row.hidden);
      const here = visible.findIndex((row) => row.contains(document.activeElement));
      const next = visible[here < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, here + (event.key === "j" ? 1 : -1)))];
      if (next) $(".open", next).focus();
    }
  });

  // ---- sweeps -----------------------------------------------------------------------------------------------------
  // A scene whose runs differ in at least one override. Few values on both axes: a table of cells; many: points in a plane.
  const numeric = (text) => text.trim() !== "" && Number.isFinite(Number(text));
  const order = (a, b) => (numeric(a) && numeric(b) ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0);
  const sweeps = (() => {
    const byScene = new Map();
    runs.forEach((run, k) => {
      if (!run.overrides.length) return;
      const key = JSON.stringify([run.suite, run.scene, ...run.overrides.map(([name]) => name).sort()]);
      byScene.set(key, [...(byScene.get(key) ?? []), k]);
    });
    const areSeveral = new Set(runs.map((run) => run.suite)).size > 1;
    const found = [];
    for (const members of byScene.values()) {
      const { scene, suite } = runs[members[0]];
      const values = new Map();
      for (const k of members) for (const [key, value] of runs[k].overrides) values.set(key, (values.get(key) ?? new Set()).add(value));
      const swept = [...values].filter(([, set]) => set.size > 1).map(([key, set]) => ({ key, values: [...set].sort(order) }));
      if (!swept.length) continue;
      swept.sort((a, b) => (a.key === "seed") - (b.key === "seed"));  // the seed is rarely what one wants across
      const seen = new Map();
      const see = (name, value) => { if (value !== null) seen.set(name, (seen.get(name) ?? new Set()).add(value)); };
      const failing = new Set();
      for (const k of members) {
        for (const [name, value] of runs[k].metrics) see(name, value);
        for (const c of runs[k].criteria) { see(c.name, c.value); if (!c.passed) failing.add(c.name); }
      }
      const figures = [...seen].filter(([, values]) => values.size > 1).map(([name]) => name).sort();  // what never moves shows nothing
      found.push({ scene, suite: areSeveral ? suite : "", members, swept, figures, x: swept[0].key, y: swept[1]?.key ?? "", show: "", plotted: figures.find((name) => failing.has(name)) ?? figures[0] ?? "" });
    }
    return found;
  })();
  const override = (run, key) => run.overrides.find(([name]) => name === key)?.[1];
  const figureOf = (run, name) => run.metrics.find(([key]) => key === name)?.[1] ?? run.criteria.find((c) => c.name === name)?.value ?? null;
  const kindOf = (run) => (run.outcome === "pass" || run.outcome === "fail" ? (run.is_flaky ? "flaky" : run.outcome) : run.outcome);
  const rank = ["infrastructure_error", "bad_input", "flaky", "fail", "nothing_ran", "pass"];
  const worstOf = (group) => group.map((k) => kindOf(runs[k])).sort((a, b) => rank.indexOf(a) - rank.indexOf(b))[0];

  function drawSweeps() {
    const section = $("#sweeps");
    if (!section || !sweeps.length) return;
    section.hidden = false;
    section.replaceChildren(...sweeps.map((sweep) => {
      const box = make("article", { class: "sweep" });
      const draw = () => box.replaceChildren(...sweepParts(sweep, draw));
      draw();
      return box;
    }));
  }
  function choice(label, options, value, change) {
    const select = make("select", {}, ...options.map(([key, text]) => make("option", { value: key, selected: key === value }, text)));
    select.addEventListener("change", () => change(select.value));
    return make("label", {}, label, select);
  }
  function sweepParts(sweep, draw) {
    const params = sweep.swept.map(({ key }) => [key, key]);
    const set = (name) => (value) => {
      if (name === "x" && value === sweep.y) sweep.y = sweep.x;
      if (name === "y" && value === sweep.x) sweep.x = sweep.y;
      sweep[name] = value;
      draw();
    };
    const xs = sweep.swept.find(({ key }) => key === sweep.x), ys = sweep.swept.find(({ key }) => key === sweep.y);
    const cells = xs.values.length * (ys ? ys.values.length : 1);
    const isNumeric = (axis) => !axis || axis.values.every(numeric);
    const isPlot = isNumeric(xs) && isNumeric(ys) && (ys ? cells > 4 * sweep.members.length && cells > 60 : xs.values.length > 24 && sweep.figures.length > 0);
    const head = make("header", {}, make("h3", {}, `${say("sweep")} `, make("span", { class: "id" }, sweep.scene), sweep.suite ? make("small", {}, ` ${say("suite_of")} ${sweep.suite}`) : null));
    if (sweep.swept.length > 1) {
      head.append(choice(say("across"), params, sweep.x, set("x")), choice(say("down"), params, sweep.y, set("y")));
    }
    const figures = sweep.figures.map((name) => [name, name]);
    if (isPlot && !ys) { if (figures.length) head.append(choice(say("down"), figures, sweep.plotted, set("plotted"))); }
    else if (figures.length) head.append(choice(say("show"), [["", say("outcome")], ...figures], sweep.show, set("show")));
    return [head, ...(isPlot ? plot(sweep, xs, ys) : grid(sweep, xs, ys))];
  }
  function pick(group) {
    Object.assign(state, { filter: "all", search: "", cell: new Set(group) });
    $("#search").value = "";
    apply();
    if (group.length === 1) reveal(group[0]);
    else $("#results").scrollIntoView({ block: "start" });
  }
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  // Blue to yellow by way of green: even steps of lightness, read the same by the colour-blind.
  const ramp = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  function shade(share) {
    const at = Math.min(0.9999, Math.max(0, share)) * (ramp.length - 1), k = Math.floor(at);
    const rgb = ramp[k].map((low, c) => Math.round(low + (ramp[k + 1][c] - low) * (at - k)));
    const light = rgb.map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    const luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
    return { back: `rgb(${rgb.join(",")})`, front: luminance > 0.179 ? "#000" : "#fff" };
  }
  function scale(values) {
    const known = values.filter((value) => value !== null);
    const low = Math.min(...known), high = Math.max(...known);
    return { low, high, share: (value) => (high > low ? (value - low) / (high - low) : 0.5), isEmpty: !known.length };
  }
  function legend(sweep, range) {
    const line = make("p", { class: "legend" });
    if (sweep.show && !range.isEmpty) {
      const strip = make("span", { class: "ramp", "aria-hidden": "true" });
      strip.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((t) => shade(t).back).join(",")})`;
      line.append(make("span", {}, `${say("lowest")} ${figure(range.low)}`), strip, make("span", {}, `${figure(range.high)} ${say("highest")}`));
    } else {
      for (const kind of rank) {
        if (sweep.members.some((k) => kindOf(runs[k]) === kind)) line.append(make("span", { class: `o-${kind}` }, make("b", { class: "pill" }, `${marks[kind]} ${say("o." + kind)}`)));
      }
    }
    line.append(make("span", {}, say("press")));
    return line;
  }
  function grid(sweep, xs, ys) {
    const at = new Map();
    for (const k of sweep.members) {
      const key = JSON.stringify([override(runs[k], xs.key), ys ? override(runs[k], ys.key) : ""]);
      at.set(key, [...(at.get(key) ?? []), k]);
    }
    const value = (group) => mean(group.map((k) => figureOf(runs[k], sweep.show)).filter((one) => one !== null));
    const range = scale([...at.values()].map(value));
    const cell = (x, y) => {
      const group = at.get(JSON.stringify([x, y])) ?? [];
      const where = `${xs.key}=${x}${ys ? `, ${ys.key}=${y}` : ""}`;
      if (!group.length) return make("td", {}, make("button", { type: "button", class: "cell is-empty", disabled: true, "aria-label": `${where}: –` }));
      const kind = worstOf(group), passed = group.filter((k) => runs[k].outcome === "pass").length;
      const one = value(group);
      const text = sweep.show ? figure(one === null ? null : Number(one.toPrecision(4))) : group.length === 1 ? marks[kind] : `${passed}/${group.length}`;
      const told = sweep.show ? `${sweep.show} ${text}, ${say("o." + kind)}` : group.length === 1 ? say("o." + kind) : `${text} ${say("of_passed")}`;
      const button = make("button", { type: "button", class: `cell o-${kind}`, "aria-label": `${where}: ${told}`, title: `${where}: ${told}`, click: () => pick(group) }, text);
      if (sweep.show && one !== null) {
        const { back, front } = shade(range.share(one));
        button.style.background = back;
        button.style.color = front;
        if (kind !== "pass") button.append(` ${marks[kind]}`);
      }
      return make("td", {}, button);
    };
    const table = make("table", { class: "grid" },
      make("thead", {},
        make("tr", {}, make("th", { class: "axis down", scope: "col", rowspan: "2" }, ys ? `${ys.key} ↓` : ""), make("th", { class: "axis", scope: "colgroup", colspan: String(xs.values.length) }, `${xs.key} →`)),
        make("tr", {}, ...xs.values.map((x) => make("th", { scope: "col" }, x)))),
      make("tbody", {}, ...(ys ? ys.values : [""]).map((y) => make("tr", {}, make("th", { scope: "row" }, y), ...xs.values.map((x) => cell(x, y))))));
    return [make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": sweep.scene }, table), legend(sweep, range)];
  }
  function steps(low, high, count = 7) {
    const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rough * 0.999);
    const out = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) out.push(Number(value.toPrecision(12)));
    return out;
  }
  function plot(sweep, xs, ys) {
    const width = 640, height = 330, left = 74, right = 20, top = 12, bottom = 46;
    const points = sweep.members.map((k) => ({ k, x: Number(override(runs[k], xs.key)), y: ys ? Number(override(runs[k], ys.key)) : figureOf(runs[k], sweep.plotted) }))
      .filter(({ x, y }) => Number.isFinite(x) && y !== null && Number.isFinite(y));
    const pad = ({ low, high }) => { const room = (high - low || Math.abs(high) || 1) * 0.04; return [low - room, high + room]; };
    const [x0, x1] = pad(scale(points.map((p) => p.x))), [y0, y1] = pad(scale(points.map((p) => p.y)));
    const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right), py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
    const range = scale(points.map(({ k }) => figureOf(runs[k], sweep.show)));
    const label = (x, y, anchor, text) => make("text", { x, y, "text-anchor": anchor }, text);
    const svg = make("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${sweep.scene}: ${xs.key}, ${ys ? ys.key : sweep.plotted}` });
    for (const x of steps(x0, x1)) svg.append(make("line", { class: "rule", x1: px(x), x2: px(x), y1: top, y2: height - bottom }), label(px(x), height - bottom + 18, "middle", figure(x)));
    for (const y of steps(y0, y1)) svg.append(make("line", { class: "rule", x1: left, x2: width - right, y1: py(y), y2: py(y) }), label(left - 8, py(y) + 4, "end", figure(y)));
    svg.append(make("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }), make("line", { class: "axis", x1: left, x2: left, y1: top, y2: height - bottom }));
    svg.append(label((left + width - right) / 2, height - 8, "middle", xs.key));
    const name = label(0, 0, "middle", ys ? ys.key : sweep.plotted);
    name.setAttribute("transform", `translate(16 ${(top + height - bottom) / 2}) rotate(-90)`);
    svg.append(name);
    const shapes = { fail: "M-5-5L5 5M-5 5L5-5", flaky: "M-6-2Q-3-6 0-2T6-2M-6 3Q-3-1 0 3T6 3", infrastructure_error: "M0-6V2M0 5V6", bad_input: "M0-6L6 5H-6Z", nothing_ran: "M-5-5H5V5H-5Z" };
    for (const { k, x, y } of points.sort((a, b) => rank.indexOf(kindOf(runs[b.k])) - rank.indexOf(kindOf(runs[a.k])))) {
      const kind = kindOf(runs[k]), one = sweep.show ? figureOf(runs[k], sweep.show) : null;
      const told = `${xs.key}=${figure(x)}, ${ys ? ys.key : sweep.plotted}=${figure(y)}: ${say("o." + kind)}${one === null ? "" : `, ${sweep.show} ${figure(one)}`}`;
      const shape = kind === "pass" ? make("circle", { r: 5 }) : make("path", { d: shapes[kind] });
      if (one !== null) shape.style[kind === "pass" ? "fill" : "stroke"] = shade(range.share(one)).back;
      const dot = make("g", { class: `dot o-${kind}`, transform: `translate(${px(x)} ${py(y)})`, tabindex: "0", role: "button", "aria-label": told, click: () => pick([k]) },
        make("rect", { x: -9, y: -9, width: 18, height: 18 }), shape, make("title", {}, told));
      dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick([k]); } });
      svg.append(dot);
    }
    return [make("div", { class: "scroll" }, svg), legend(sweep, range)];
  }

  // ---- begin ------------------------------------------------------------------------------------------------------
  for (const part of $$("[data-grow]")) part.style.flexGrow = part.dataset.grow;
  paint(themes.includes(memory.get("theme")) ? memory.get("theme") : "auto");
  speak(memory.get("lang") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"));
  const asked = decodeURIComponent(location.hash.replace(/^#/, ""));  // #run-7: a link to one run
  if (/^run-\d+$/.test(asked) && runs[Number(asked.slice(4))]) reveal(Number(asked.slice(4)));
})();
