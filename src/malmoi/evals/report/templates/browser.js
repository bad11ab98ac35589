"use strict";
// The items one by one. Everything of an item is set as text, never as markup. The index (one short line an
// item) is unpacked at once, the items themselves in chunks when one of them is looked at or searched.
(async () => {
  const words = JSON.parse(document.getElementById("words").textContent);
  const list = document.querySelector(".list");
  const detail = document.querySelector(".detail");
  const count = document.querySelector(".count");
  const form = document.querySelector(".filters");
  const say = (name, figures = {}) => {
    let text = words[name][document.documentElement.lang];
    for (const [key, value] of Object.entries(figures)) text = text.replace(`{${key}}`, value);
    return text;
  };
  if (!("DecompressionStream" in window)) {
    count.textContent = say("old_browser");
    return;
  }
  const unpack = (element) => {
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const index = JSON.parse(await unpack(document.getElementById("index")));
  const sources = [...document.querySelectorAll("script.chunk")];
  const { size, rows, tasks, categories } = index;
  const CUT = 1, FOREIGN = 2;
  const HEIGHT = 48;

  // A few chunks are kept, for people look at neighbours.
  const kept = new Map();
  const chunk = async (number) => {
    if (!kept.has(number)) {
      kept.set(number, JSON.parse(await unpack(sources[number])));
      if (kept.size > 8) kept.delete(kept.keys().next().value);
    }
    return kept.get(number);
  };

  const VERDICTS = ["all", "right", "wrong", "partly", "cut", "other_language"];
  const verdictOf = (row) => (row[3] >= 1 ? "right" : row[3] > 0 ? "partly" : "wrong");
  const fits = {
    all: () => true,
    right: (row) => row[3] >= 1,
    wrong: (row) => row[3] <= 0,
    partly: (row) => row[3] > 0 && row[3] < 1,
    cut: (row) => row[4] & CUT,
    other_language: (row) => row[4] & FOREIGN,
  };

  let shown = rows.map((_, number) => number);
  let selected = -1; // a place in `shown`
  const spacer = document.createElement("div");
  spacer.className = "spacer";
  spacer.setAttribute("role", "presentation");
  list.append(spacer);

  const rowOf = (place) => {
    const row = rows[shown[place]];
    const verdict = verdictOf(row);
    const element = document.createElement("div");
    element.className = "row";
    element.id = `row-${place}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(place === selected));
    element.setAttribute("aria-posinset", String(place + 1));
    element.setAttribute("aria-setsize", String(shown.length));
    element.style.top = `${place * HEIGHT}px`;
    const first = document.createElement("div");
    const mark = document.createElement("span");
    mark.className = verdict;
    mark.textContent = `${{ right: "✓", wrong: "✗", partly: "◐" }[verdict]} ${say(verdict)} `;
    first.append(mark, `${tasks[row[0]]} · ${row[1]}`);
    const second = document.createElement("div");
    second.className = "soft";
    second.textContent = row[5];
    element.append(first, second);
    return element;
  };

  const draw = () => {
    const from = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 10);
    const to = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 10);
    spacer.style.height = `${shown.length * HEIGHT}px`;
    const drawn = [];
    for (let place = from; place < to; place += 1) drawn.push(rowOf(place));
    spacer.replaceChildren(...drawn);
    if (selected >= from && selected < to) list.setAttribute("aria-activedescendant", `row-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  };

  const heading = (name) => {
    const element = document.createElement("h3");
    element.textContent = say(name);
    return element;
  };
  const block = (text) => {
    const element = document.createElement("pre");
    element.textContent = text;
    return element;
  };
  let opened = 0;
  const open = async () => {
    const turn = (opened += 1);
    if (selected < 0) {
      const hint = document.createElement("p");
      hint.className = "soft";
      hint.textContent = say("choose");
      detail.replaceChildren(hint);
      return;
    }
    const number = shown[selected];
    const row = rows[number];
    const item = (await chunk(Math.floor(number / size)))[number % size];
    if (turn !== opened) return;
    const parts = [];
    const head = document.createElement("p");
    head.className = "id";
    const category = categories[row[2]];
    head.textContent = [tasks[row[0]], row[1], category].filter(Boolean).join(" · ");
    const state = document.createElement("p");
    const verdict = verdictOf(row);
    const mark = document.createElement("span");
    mark.className = verdict;
    mark.textContent = say(verdict);
    state.append(mark, ` · ${say("grade")} ${row[3]}`);
    if (row[4] & CUT) state.append(` · ${say("cut")}`);
    if (row[4] & FOREIGN) state.append(` · ${say("other_language")}`);
    parts.push(head, state, heading("prompt"), block(item.prompt));
    if (item.choices.length) {
      const choices = document.createElement("ol");
      item.choices.forEach((choice, place) => {
        const entry = document.createElement("li");
        const notes = [];
        if (choice === item.gold) notes.push(say("gold"));
        if (choice === item.answer) notes.push(say("chosen"));
        if (item.logprobs.length === item.choices.length) {
          notes.push(`${say("logprob")} ${item.logprobs[place].toFixed(3)}`);
        }
        entry.textContent = choice + (notes.length ? `  (${notes.join(", ")})` : "");
        if (choice === item.gold) entry.className = "gold";
        choices.append(entry);
      });
      parts.push(heading("choices"), choices);
    }
    if (item.gold) parts.push(heading("gold"), block(item.gold));
    parts.push(heading("answer"), block(item.answer || `(${say("none")})`));
    if (Object.keys(item.more).length) parts.push(heading("more"), block(JSON.stringify(item.more, null, 1)));
    detail.replaceChildren(...parts);
    detail.scrollTop = 0;
  };

  const select = (place) => {
    selected = Math.max(0, Math.min(shown.length - 1, place));
    if (!shown.length) selected = -1;
    const top = selected * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    open();
  };

  let search = 0;
  const filter = async () => {
    const turn = (search += 1);
    const { task, verdict, category } = form.elements;
    const wanted = form.elements.search.value.trim().toLowerCase();
    let found = [];
    rows.forEach((row, number) => {
      if (task.value !== "" && row[0] !== Number(task.value)) return;
      if (category.value !== "" && row[2] !== Number(category.value)) return;
      if (fits[verdict.value](row)) found.push(number);
    });
    if (wanted) {
      // As it stands in JSON: a chunk without it need not be parsed.
      const inside = JSON.stringify(wanted).slice(1, -1);
      const kinds = new Map();
      for (const number of found) {
        const at = Math.floor(number / size);
        if (!kinds.has(at)) kinds.set(at, []);
        kinds.get(at).push(number);
      }
      found = [];
      let done = 0;
      for (const [at, numbers] of kinds) {
        const text = await unpack(sources[at]);
        if (turn !== search) return;
        const whole = text.toLowerCase().includes(inside);
        const items = whole ? JSON.parse(text) : null;
        for (const number of numbers) {
          const item = items?.[number % size];
          const has = (part) => part.toLowerCase().includes(wanted);
          if (has(rows[number][1]) || (item && [item.prompt, item.gold, item.answer, ...item.choices].some(has))) {
            found.push(number);
          }
        }
        done += 1;
        count.textContent = say("searching", { share: Math.round((100 * done) / kinds.size) });
      }
    }
    shown = found;
    selected = -1;
    list.scrollTop = 0;
    count.textContent = say("found", { count: shown.length.toLocaleString() });
    draw();
    open();
  };

  const option = (text, value) => {
    const element = document.createElement("option");
    element.textContent = text;
    element.value = value;
    return element;
  };
  const fill = () => {
    const { task, verdict, category } = form.elements;
    const was = [task.value, verdict.value, category.value];
    task.replaceChildren(option(say("all"), ""), ...tasks.map((name, number) => option(name, number)));
    verdict.replaceChildren(...VERDICTS.map((name) => option(say(name), name)));
    const there = new Set(rows.filter((row) => was[0] === "" || row[0] === Number(was[0])).map((row) => row[2]));
    const named = [...there].filter((number) => categories[number]).sort((a, b) => (categories[a] < categories[b] ? -1 : 1));
    category.replaceChildren(option(say("all"), ""), ...named.map((number) => option(categories[number], number)));
    task.value = was[0];
    verdict.value = was[1] || "all";
    category.value = there.has(Number(was[2])) && was[2] !== "" ? was[2] : "";
    form.elements.search.placeholder = say("search_hint");
  };

  let waiting = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  // The search field has its own event: its `change` comes when it loses the focus, and would undo a choice.
  for (const select of form.querySelectorAll("select")) {
    select.addEventListener("change", () => { fill(); filter(); });
  }
  form.elements.search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 250);
  });
  for (const link of document.querySelectorAll("a[data-task]")) {
    link.addEventListener("click", () => {
      form.elements.task.value = String(tasks.indexOf(link.dataset.task));
      fill();
      filter();
    });
  }
  let frame = 0;
  list.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) select(Number(row.id.slice(4)));
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const goal = selected + steps[event.key];
    select(Number.isFinite(goal) ? goal : goal > 0 ? shown.length - 1 : 0);
  });
  document.addEventListener("languagechange", () => { fill(); filter(); });
  addEventListener("resize", draw);
  fill();
  await filter();
  document.documentElement.dataset.ready = "yes";
})();
