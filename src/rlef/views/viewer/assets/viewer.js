// Saves the reload between episodes, adds keys, and shades tokens. Everything else works without it.
// Nothing here makes HTML of text: documents are parsed by the browser, texts are set as texts.
"use strict";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const store = typeof offlineStore === "function" ? offlineStore() : servedStore();
let shade = "";

function servedStore() {
  let asked = 0;
  const load = (path) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", path);
      request.responseType = "document"; // parsed, and no script of it ever runs
      request.onload = () =>
        request.status === 200 && request.response ? resolve(request.response) : reject(request.status);
      request.onerror = () => reject(0);
      request.send();
    });
  // A reply that was overtaken by a later request is dropped.
  const latest = async (path) => {
    const mine = ++asked;
    const found = await load(path);
    return mine === asked ? found : null;
  };
  return {
    params: () => new URLSearchParams(location.search),
    address: (params) => (String(params) ? `./?${params}` : "./"),
    async filter(params) {
      const found = await latest(`list?${params}`);
      if (!found) return false;
      swapList($("#list", found));
      return true;
    },
    async episode(params) {
      const found = await latest(`episode?${params}`);
      if (!found) return false;
      $("#episode").replaceChildren(...found.body.childNodes);
      return true;
    },
    async status() {
      const reply = await fetch("status");
      if (!reply.ok) throw reply.status;
      return reply.json();
    },
  };
}

// The field that is being typed in stays the same element, with its focus, text and caret.
function swapList(fresh) {
  const active = document.activeElement;
  const name = active && active.form && active.form.id === "filters" ? active.name : "";
  const twin = name && $(`[name="${name}"]`, fresh);
  if (twin && active.tagName === "INPUT") twin.replaceWith(active);
  const further = $(".further", fresh);
  if (further && $("#list .further")?.open) further.open = true;
  $("#list").replaceWith(fresh);
  const again = name && $(`[name="${name}"]`, fresh);
  if (again) again.focus({ preventScroll: true });
}

const article = () => $("#episode > article:not([hidden])");
const rows = () => $$("#list li:not([hidden]) > .row");
const current = () => $("#list .row.open");

function mark(key) {
  for (const row of $$("#list .row")) {
    const open = row.dataset.key === key;
    row.classList.toggle("open", open);
    if (open) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function asForm() {
  const params = new URLSearchParams();
  for (const [name, value] of new FormData($("#filters")))
    if (value && !(name === "sort" && value === "played")) params.append(name, value);
  if (article()) params.set("e", article().dataset.key);
  return params;
}

function arrived(announce) {
  const open = article();
  if (!open) return;
  mark(open.dataset.key);
  const row = current();
  if (row) row.scrollIntoView({ block: "nearest" });
  const title = $("h1", open);
  document.title = `${open.dataset.key} · ${$(".run").textContent} · rlef view`;
  if (announce) $("#said").textContent = `${$(".place", open).textContent}: ${title ? title.textContent : ""}`;
  dress(open);
}

// One step of whoever reads: another episode, other filters, or both.
async function go(params, { filter = false, push = true, announce = true } = {}) {
  try {
    if (push) history.pushState(null, "", store.address(params));
    if (filter) {
      if (!(await store.filter(params))) return;
      const first = rows()[0];
      const key = params.get("e");
      if (first && !rows().some((row) => row.dataset.key === key)) {
        params.set("e", first.dataset.key);
        history.replaceState(null, "", store.address(params));
      }
    }
    if (!(await store.episode(params))) return;
    const top = $("#episode").offsetTop - 60;
    // Where the list stands above the episode, what was chosen comes into sight.
    if (!filter) scrollTo(0, matchMedia("(max-width: 900px)").matches ? top : Math.min(scrollY, top));
    const open = article();
    if (!filter && open && open.dataset.page && open.dataset.page !== $("#list").dataset.page) {
      params.delete("page");
      if (!(await store.filter(params))) return;
    }
    arrived(announce);
  } catch (status) {
    if (typeof status !== "number") throw status;
    $("#reading").textContent = status ? `the viewer says ${status}` : "the viewer has ended";
  }
}

const from = (address) => new URLSearchParams(address.slice(address.indexOf("?") + 1));

function step(kind) {
  const open = article();
  const to = open && open.dataset[kind];
  return to && go(store.follow ? store.follow(to) : from(to));
}

function stepTurn(by) {
  const turns = $$(".turn", article() || undefined);
  const here = turns.indexOf(document.activeElement?.closest(".turn"));
  const tops = turns.map((turn) => turn.getBoundingClientRect().top);
  const seen = by > 0 ? tops.findIndex((top) => top > 100) : tops.findLastIndex((top) => top < 60);
  const at = here < 0 ? seen : here + by;
  const turn = turns[at];
  if (turn) {
    turn.scrollIntoView();
    turn.focus({ preventScroll: true });
  } else if (by < 0) scrollTo(0, 0);
}

// Shading. A token's chance in five steps; an advantage in three steps to each side.
const CHANCES = [[0.9, "p0"], [0.5, "p1"], [0.1, "p2"], [0.01, "p3"], [0, "p4"]];

function dress(open) {
  const box = $(".shading", open);
  if (!box) return;
  const kinds = $$("option", box).map((option) => option.value);
  box.value = kinds.includes(shade) ? shade : "";
  const texts = $$("pre.said", open);
  const most = Math.max(1e-9, ...texts.flatMap((pre) => numbers(pre.dataset.advantages)).map(Math.abs));
  for (const pre of texts) paint(pre, box.value, most);
  scale(open, box.value);
}

const numbers = (text) => (text ? text.split(",").map(Number) : []);

function paint(pre, kind, most) {
  const text = pre.textContent;
  const values = numbers(kind === "advantage" ? pre.dataset.advantages : kind ? pre.dataset.logprobs : "");
  if (!values.length) {
    pre.replaceChildren(text);
    return;
  }
  let at = 0;
  const spans = numbers(pre.dataset.lengths).map((length, index) => {
    const span = document.createElement("span");
    span.textContent = text.slice(at, (at += length));
    const value = values[index];
    if (kind === "advantage") {
      const size = Math.round((3 * Math.abs(value)) / most);
      span.className = size ? `${value > 0 ? "up" : "down"}${size}` : "";
      span.title = `advantage ${value}`;
    } else {
      const chance = Math.exp(value);
      span.className = CHANCES.find(([least]) => chance >= least)?.[1] ?? "p4";
      span.title = `log-probability ${value}, chance ${chance.toPrecision(2)}`;
    }
    return span;
  });
  pre.replaceChildren(...spans);
  pre.closest("details").open = true;
}

function scale(open, kind) {
  $(".scale", open)?.remove();
  if (!kind) return;
  const line = document.createElement("p");
  line.className = "scale said";
  const steps =
    kind === "logprob"
      ? [["p0", "chance ≥ 0.9"], ["p1", "≥ 0.5"], ["p2", "≥ 0.1"], ["p3", "≥ 0.01"], ["p4", "less"]]
      : [["down3", "least advantage"], ["down1", ""], ["", "0"], ["up1", ""], ["up3", "most"]];
  for (const [name, label] of steps) {
    const swatch = document.createElement("span");
    swatch.className = name;
    swatch.textContent = label || "  ";
    line.append(swatch, " ");
  }
  $(".steps", open).append(line);
}

function nextShade() {
  const kinds = $$(".shading option", article() || undefined).map((option) => option.value);
  if (!kinds.length) return;
  shade = kinds[(kinds.indexOf(shade) + 1) % kinds.length];
  dress(article());
}

async function copyLink() {
  const button = $(".copy", article() || undefined);
  if (!button) return;
  const params = store.params();
  params.set("e", article().dataset.key);
  const link = new URL(store.address(params), location.href).href;
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(link);
  } catch {
    said = "It is in the address bar"; // no clipboard for pages that came unencrypted from elsewhere
    history.replaceState(null, "", link);
  }
  $("#said").textContent = said;
  button.textContent = said;
  setTimeout(() => (button.textContent = "Copy link"), 1500);
}

async function look() {
  if (document.hidden || !store.status) return;
  try {
    const { stamp, count, reading } = await store.status();
    const list = $("#list");
    const more = count - Number(list.dataset.count);
    $("#reading").textContent = reading < 100 ? `reading the files, ${reading} %` : "";
    $("#news").hidden = stamp === list.dataset.stamp;
    $("#news").textContent = more > 0 ? `show ${more.toLocaleString("en")} more` : "the run has changed: show";
  } catch {
    $("#reading").textContent = "the viewer has ended";
  }
}

function refresh() {
  $("#news").hidden = true;
  go(store.params(), { filter: true, push: false });
}

const KEYS = {
  j: () => step("next"),
  k: () => step("previous"),
  g: () => rows()[0]?.click(),
  G: () => rows().at(-1)?.click(),
  n: () => stepTurn(1),
  p: () => stepTurn(-1),
  "/": () => $("#q").select(),
  x: () => $("#clear")?.click(),
  s: nextShade,
  c: copyLink,
  r: refresh,
  "?": () => $("#help").showModal(),
};

function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("#help").open) return;
  const { target, key } = event;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") target.blur();
    return;
  }
  const arrow = { ArrowDown: "j", ArrowUp: "k" }[key];
  const act = KEYS[arrow && target.closest("#list") ? arrow : key];
  if (!act) return;
  event.preventDefault();
  const done = act();
  if (arrow) Promise.resolve(done).then(() => current()?.focus({ preventScroll: true }));
}

function clicked(event) {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const { target } = event;
  if (target.closest(".copy")) copyLink();
  else if (target.closest("#keys")) $("#help").showModal();
  else if (target.closest("#news")) refresh();
  const link = target.closest("a.row, a[rel=prev], a[rel=next], a[data-list], .facts a");
  if (!link) return;
  event.preventDefault();
  const address = link.getAttribute("href");
  const params = store.follow ? store.follow(address) : from(address);
  const wide = link.matches("[data-list], .facts a");
  // The list may have been made when another episode was open.
  if (link.matches("[data-list]") && article()) params.set("e", article().dataset.key);
  // A page of the list is turned without leaving the episode that is open.
  if (link.closest(".pages")) {
    history.pushState(null, "", store.address(params));
    store.filter(params).then((done) => done && mark(article()?.dataset.key));
  } else go(params, { filter: wide });
}

// After a choice with the mouse the keys are the page's again; after one with the keys it keeps the focus.
let pointed = false;
addEventListener("pointerdown", () => (pointed = true), true);
addEventListener("keydown", () => (pointed = false), true);

let pause = 0;
function changed(event) {
  if (event.target.matches(".shading")) {
    shade = event.target.value;
    dress(article());
    if (pointed) event.target.blur();
  } else if (event.target.form?.id === "filters") {
    if (pointed && event.target.matches("select")) event.target.blur();
    clearTimeout(pause);
    const wait = event.type === "input" && event.target.type !== "select-one" ? 120 : 0;
    pause = setTimeout(() => go(asForm(), { filter: true }), wait);
  }
}

document.documentElement.classList.add("js");
document.addEventListener("keydown", typed);
document.addEventListener("click", clicked);
document.addEventListener("input", changed);
document.addEventListener("submit", (event) => {
  if (event.target.id !== "filters") return;
  event.preventDefault();
  clearTimeout(pause);
  document.activeElement?.blur();
  go(asForm(), { filter: true });
});
addEventListener("popstate", () => go(store.params(), { filter: true, push: false }));
if (store.status) setInterval(look, 3000);
if (store.begin) go(store.params(), { filter: true, push: false, announce: false });
else arrived(false);
