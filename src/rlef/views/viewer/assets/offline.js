// The viewer as one file: all episodes are in the page, and what the service would do is done here.
// The part of the address after # has the filters: a file has no other part that may change.
"use strict";

function offlineStore() {
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const list = one("#list .rows");
  const items = all("li > .row", list || undefined).map((row, place) => ({
    key: row.dataset.key,
    item: row.parentNode,
    place,
    facts: JSON.parse(row.dataset.facts),
    page: document.getElementById(`e-${row.dataset.key}`),
  }));
  const FACETS = ["outcome", "verdict", "change", "stop", "turns", "phase", "condition", "family", "problem"];
  let found = items;

  // What the service searches: not the page's own words, nor what the tests hold.
  const READ = ".prompt:not(.before) pre, .answer pre, .feedback pre";
  function text(it) {
    if (it.text === undefined) {
      const where = it.facts.outcome.includes("damaged") ? ".raw pre" : READ;
      const texts = all(where, it.page).map((pre) => pre.textContent);
      it.text = [...it.facts.problem, ...it.facts.family, ...texts].join("\n").toLowerCase();
    }
    return it.text;
  }

  // Names of the filters that an episode fails.
  function failed(it, params) {
    const names = [];
    const needle = (params.get("q") || "").trim().toLowerCase();
    if (needle && !text(it).includes(needle)) names.push("q");
    const { step } = it.facts;
    if (params.get("from") && !(step !== null && step >= Number(params.get("from")))) names.push("from");
    if (params.get("to") && !(step !== null && step <= Number(params.get("to")))) names.push("to");
    for (const name of FACETS) {
      const values = params.getAll(name).filter(Boolean);
      if (values.length && !values.some((value) => it.facts[name].includes(value))) names.push(name);
    }
    return names;
  }

  const ORDERS = { reward: (a) => a.facts.reward, turns: (a) => Number(a.facts.turns[0]), tokens: (a) => a.facts.tokens };

  function sorted(hits, sort) {
    const name = sort.replace("-", "");
    const by = ORDERS[name];
    const sign = sort.startsWith("-") ? -1 : 1;
    if (name === "problem")
      return hits.sort((a, b) => (a.facts.problem[0] < b.facts.problem[0] ? -1 : a.facts.problem[0] > b.facts.problem[0] ? 1 : a.place - b.place));
    return by ? hits.sort((a, b) => sign * (by(a) - by(b)) || a.place - b.place) : sign < 0 ? hits.reverse() : hits;
  }

  function count(params, misses) {
    for (const box of all("#filters .choices select")) {
      if (box.name === "sort") continue;
      const counts = new Map();
      items.forEach((it, place) => {
        if (misses[place].every((name) => name === box.name))
          for (const value of it.facts[box.name] || []) counts.set(value, (counts.get(value) || 0) + 1);
      });
      for (const option of box.options)
        if (option.value) option.textContent = option.textContent.replace(/\(\d+\)$/, `(${counts.get(option.value) || 0})`);
    }
  }

  function fill(params) {
    for (const field of all("#filters [name]")) {
      field.value = params.get(field.name) || (field.name === "sort" ? "played" : "");
      field.classList.toggle("set", field.name !== "sort" && field.name !== "q" && Boolean(field.value));
    }
    let clear = one("#clear");
    const some = [...params.keys()].some((name) => name !== "e" && name !== "sort");
    if (!clear) {
      clear = Object.assign(document.createElement("a"), { id: "clear", textContent: "Clear filters" });
      clear.href = "#?";
      clear.dataset.list = "";
      one("#filters .count").append(clear);
    }
    clear.hidden = !some;
  }

  function neighbours(it) {
    const place = found.indexOf(it);
    const nav = one(".steps", it.page);
    one(".place", nav).textContent = place < 0 ? "outside the filters" : `${place + 1} of ${found.length}`;
    for (const [kind, rel, other] of [["previous", "prev", found[place - 1]], ["next", "next", found[place + 1]]]) {
      const old = one(`[data-rel=${rel}]`, nav);
      const to = place < 0 && kind === "next" ? found[0] : place < 0 ? undefined : other;
      const fresh = document.createElement(to ? "a" : "span");
      fresh.dataset.rel = rel;
      fresh.className = to ? "button" : "button off";
      fresh.textContent = old.textContent;
      if (to) {
        fresh.rel = rel;
        fresh.href = `#e-${to.key}`;
        it.page.dataset[kind] = `#e-${to.key}`;
      } else delete it.page.dataset[kind];
      old.replaceWith(fresh);
    }
  }

  const params = () => {
    const hash = location.hash;
    if (hash.startsWith("#?")) return new URLSearchParams(hash.slice(2));
    const key = decodeURIComponent(hash).replace(/^#e-/, "").replace(/-turn-\d+$/, "");
    const only = new URLSearchParams();
    if (items.some((it) => it.key === key)) only.set("e", key);
    return only;
  };

  return {
    begin: true,
    params,
    address: (asked) => `#?${asked}`,
    // A link of this page as filters: another episode keeps those that are there.
    follow(address) {
      if (address.startsWith("#?") && address.length > 2) return new URLSearchParams(address.slice(2));
      const next = address === "#?" ? new URLSearchParams() : params();
      if (address.startsWith("#e-")) next.set("e", address.slice(3));
      else if (params().get("e")) next.set("e", params().get("e"));
      return next;
    },
    async filter(asked) {
      const misses = items.map((it) => failed(it, asked));
      found = sorted(items.filter((it) => !misses[it.place].length), asked.get("sort") || "played");
      for (const it of items) it.item.hidden = true;
      for (const it of found) it.item.hidden = false;
      if (list) list.append(...found.map((it) => it.item));
      one("#total").textContent = found.length.toLocaleString("en");
      count(asked, misses);
      fill(asked);
      return true;
    },
    async episode(asked) {
      const chosen = items.find((it) => it.key === asked.get("e")) || found[0] || items[0];
      for (const it of items) it.page.hidden = it !== chosen;
      if (chosen) neighbours(chosen);
      return true;
    },
  };
}
