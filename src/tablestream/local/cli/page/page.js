// Shows what a running stack does. Everything that comes from it is set as text, never as HTML.
"use strict";

const MOST_LINES = 300; // in the document; older ones are removed
const BUSY_LINES = 50; // lines in one message: so busy a stack is not asked for its tables as well
const REFRESH_MS = 2000;
const SHORT = 60; // characters of JSON that stay in one line

const at = (id) => document.getElementById(id);
let token = takeToken();
let run = ""; // names the stack that is shown: another one begins anew
let last = 0; // the number of the last line
let waiting = []; // lines that came while the list is held
let asked = 0; // when tables and dead letters were asked for

function takeToken() {
  // The address that is printed at the start has it behind the #, which browsers send to nobody.
  const given = location.hash.slice(1);
  if (/^[\w-]{16,}$/.test(given)) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

function make(name, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children);
}

const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);
const pretty = (value) => make("pre", { textContent: typeof value === "string" ? value : jsonOf(value) });

function jsonOf(value) {
  const short = JSON.stringify(value);
  return short.length <= SHORT ? short : JSON.stringify(value, null, 2);
}

// ------------------------------------------------------------------ asking the stack

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

function told(words) {
  at("told").textContent = words;
}

// Whatever fails, such as when the stack has ended meanwhile, is told and not lost.
const attempt = (act) => async (...given) => act(...given).catch((error) => told(error.message));

const command = attempt(async (name, given) => {
  const answer = await fetch(`commands/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tablestream-Token": token },
    body: JSON.stringify(given),
  });
  const content = await answer.json().catch(() => ({ error: `the stack failed with status ${answer.status}: its terminal says why` }));
  told(answer.ok ? content : content.error);
  refresh();
});

// ------------------------------------------------------------------ lines

function lineOf(line) {
  const parts = [
    make("span", { className: "time", textContent: clock(line.at) }),
    make("span", { className: "who", textContent: line.who }),
    make("span", { className: "what" }, line.what, " ", make("span", { className: line.style, textContent: line.outcome })),
    make("span", { className: "detail", textContent: line.detail }),
  ];
  if (!line.unfolds) return make("li", { dataset: { number: line.number } }, make("div", { className: "line" }, ...parts));
  const behind = make("div", { className: "behind" });
  const details = make("details", {}, make("summary", { className: "line" }, ...parts), behind);
  details.addEventListener("toggle", () => {
    if (details.open) unfold(line.number, behind);
    else release();
  });
  return make("li", { dataset: { number: line.number } }, details);
}

async function unfold(number, behind) {
  try {
    fill(behind, ...unfolded(await get(`invocations/${number}`)));
  } catch (error) {
    fill(behind, make("p", { textContent: error.message }));
  }
}

function unfolded({ records, answer, error, changes, effects, logged }) {
  const parts = records.map(recordOf);
  const part = (title, ...content) => parts.push(make("h3", { textContent: title }), ...content);
  if (error) part(`Failed: ${error.errorType}`, pretty(failureOf(error)));
  else if (answer !== null) part("Answer", pretty(answer));
  const led = [
    ...Object.entries(changes).map(([kind, count]) => `${count} ${kind} of items`),
    ...effects.map((one) => `${one.kind} ${one.to}: ${one.what}`),
  ];
  if (led.length) part("Led to", make("ul", {}, ...led.map((text) => make("li", {}, make("code", { textContent: text })))));
  if (logged.length) part("Written by the function meanwhile", pretty(logged.join("\n")));
  return parts;
}

function failureOf(error) {
  return [error.errorMessage, ...(error.stackTrace ?? [])].join("\n");
}

function recordOf(record) {
  const { Keys: keys = {}, NewImage: after = {}, OldImage: before = {}, SequenceNumber: number } = record.dynamodb ?? {};
  const kind = record.eventName;
  const names = Object.keys({ ...keys, ...before, ...after });
  const rows = names.map((name) => {
    const [old, now] = [before, after].map((image) => (name in image ? plainText(image[name]) : ""));
    const cell = make("td", {});
    if (kind === "MODIFY" && old !== now) cell.append(make("del", { textContent: old }), " ", make("ins", { textContent: now }));
    else cell.textContent = now || old || plainText(keys[name]);
    return make("tr", {}, make("th", { scope: "row", textContent: name }), cell);
  });
  return make("div", {}, make("h3", { textContent: `${kind} ${number ?? ""}` }), make("table", {}, make("tbody", {}, ...rows)));
}

function plain(value) {
  // DynamoDB's {"S": "a"} as "a", {"N": "1"} as 1, {"M": …} as an object.
  const [type, inner] = Object.entries(value ?? {})[0] ?? ["NULL", true];
  if (type === "M") return Object.fromEntries(Object.entries(inner).map(([name, one]) => [name, plain(one)]));
  if (type === "L") return inner.map(plain);
  if (type === "N") return String(Number(inner)) === inner ? Number(inner) : inner; // else it would be rounded
  if (type === "NS") return inner.map((one) => plain({ N: one }));
  return type === "NULL" ? null : inner;
}

function plainText(value) {
  const shown = plain(value);
  return typeof shown === "string" ? shown : JSON.stringify(shown);
}

const list = at("line-list");
const isHeld = () => at("pause").getAttribute("aria-pressed") === "true" || list.querySelector("details[open]") !== null;

function take(lines) {
  waiting.push(...lines);
  waiting = waiting.slice(-MOST_LINES);
  release();
}

function release() {
  if (!isHeld() && waiting.length) {
    const wanted = at("filter").value.toLowerCase();
    const made = waiting.map(lineOf).reverse();
    for (const one of made) one.hidden = !one.textContent.toLowerCase().includes(wanted);
    list.prepend(...made);
    while (list.childElementCount > MOST_LINES) list.lastElementChild.remove();
    waiting = [];
  }
  at("waiting").textContent = waiting.length ? `${waiting.length} more wait until the list goes on` : "";
  at("nothing").hidden = list.childElementCount + waiting.length > 0;
}

at("pause").addEventListener("click", () => {
  const held = at("pause").getAttribute("aria-pressed") !== "true";
  at("pause").setAttribute("aria-pressed", String(held));
  at("pause").textContent = held ? "Go on" : "Pause";
  if (!held) for (const one of list.querySelectorAll("details[open]")) one.open = false;
  release();
});

at("filter").addEventListener("input", () => {
  const wanted = at("filter").value.toLowerCase();
  for (const one of list.children) one.hidden = !one.textContent.toLowerCase().includes(wanted);
});

// ------------------------------------------------------------------ shards, faults, mappings

function show(state) {
  fill(at("shard-rows"), ...state.shards.map(shardOf));
  at("latency").textContent = `write to handler: ${state.latency}`;
  fill(at("faults"), ...state.faults.map((words) => make("li", { className: "warning", textContent: words })));
  const mappings = JSON.stringify(state.mappings);
  if (at("mappings").dataset.shown !== mappings) {
    at("mappings").dataset.shown = mappings;
    fill(at("mappings"), ...Object.entries(state.mappings).map(([name, enabled]) => switchOf(name, enabled)));
  }
}

function shardOf(shard) {
  const slots = Object.entries(shard.slots).map(([slot, what]) => (slot === "0" ? what : `slot ${slot}: ${what}`));
  const number = (name, value) => make("td", { className: "number", textContent: value, dataset: { name } });
  return make(
    "tr",
    {},
    make("td", { textContent: shard.mapping }),
    make("td", { textContent: shard.shard }),
    make("td", { textContent: slots.join(", ") || "idle" }),
    number("lag", `${shard.lag.toFixed(1)} s`),
    ...Object.entries(shard.counts).map(([name, count]) => number(name, count)),
  );
}

function switchOf(name, enabled) {
  const button = make("button", { type: "button", textContent: enabled ? "Disable" : "Enable", disabled: !token });
  button.setAttribute("aria-label", `${enabled ? "Disable" : "Enable"} ${name}`);
  button.addEventListener("click", () => command("mapping", { name, enabled: !enabled }));
  return make("li", {}, make("span", {}, `${name} is ${enabled ? "enabled" : "disabled"}`), button);
}

function showFieldsOfFault() {
  const kind = at("fault").elements.kind.value;
  for (const label of at("fault").querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== kind;
}

at("fault").addEventListener("change", showFieldsOfFault);
at("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  const { kind, calls, service, function: named } = event.target.elements;
  const given = { kind: kind.value, calls: Number(calls.value) || null };
  if (kind.value === "outage") given.service = service.value;
  if (kind.value === "function-throttle") given.function = named.value;
  command("fault", given);
});
at("clear").addEventListener("click", () => command("clear", {}));

// ------------------------------------------------------------------ tables and dead letters

let start = null; // where the next page of items begins

async function showTables() {
  const chosen = at("table").value;
  const tables = await get("tables");
  const names = tables.map((one) => one.name);
  fill(at("table"), ...tables.map((one) => make("option", { value: one.name, textContent: `${one.name} (${one.items})` })));
  at("table").value = names.includes(chosen) ? chosen : (tables.find((one) => one.stream) ?? tables[0])?.name;
  if (tables.length) await showItems();
}

async function showItems(from = null) {
  const name = at("table").value;
  const page = await get(`tables/${encodeURIComponent(name)}${from ? `?start=${encodeURIComponent(JSON.stringify(from))}` : ""}`);
  if (name !== at("table").value) return; // another table was chosen meanwhile
  at("table-told").textContent = `key ${page.keys.join(", ")}; stream ${page.stream ?? "none"}`;
  const open = new Set([...at("item-list").querySelectorAll("details[open]")].map((one) => one.dataset.key));
  const items = page.items.map((item) => itemOf(item, page.keys, open));
  if (from) at("item-list").append(...items);
  else fill(at("item-list"), ...items);
  start = page.next;
  at("more").hidden = start === null;
}

function itemOf(item, keys, open) {
  const key = keys.map((name) => plainText(item[name])).join("  ");
  const content = Object.fromEntries(Object.entries(item).map(([name, value]) => [name, plain(value)]));
  const summary = make("summary", {}, make("code", { textContent: key }));
  return make("li", {}, make("details", { open: open.has(key), dataset: { key } }, summary, make("div", { className: "behind" }, pretty(content))));
}

async function showLetters() {
  const letters = await get("letters");
  const open = new Set([...at("letter-list").querySelectorAll("details[open]")].map((one) => one.dataset.key));
  at("letter-count").textContent = letters.length ? `(${letters.length})` : "";
  fill(at("letter-list"), ...letters.map((letter) => letterOf(letter, open)));
  if (!letters.length) fill(at("letter-list"), make("li", { className: "quiet", textContent: "none" }));
}

function letterOf(letter, open) {
  const button = make("button", { type: "button", textContent: "Redrive", disabled: !token });
  button.setAttribute("aria-label", `Redrive ${letter.key}`);
  button.addEventListener("click", () => {
    button.disabled = true;
    told(`${letter.key} is sent again ...`);
    command("redrive", { bucket: letter.bucket, key: letter.key });
  });
  const summary = make("summary", {}, make("span", { className: "failed", textContent: letter.reason }));
  const about = make("p", { className: "quiet", textContent: `${letter.bucket}/${letter.key}` });
  const records = make("div", {});
  const behind = make("div", { className: "behind" }, about, make("p", {}, button), records);
  const details = make("details", { open: open.has(letter.key), dataset: { key: letter.key } }, summary, behind);
  details.addEventListener("toggle", attempt(async () => {
    if (details.open) fill(records, ...(await get(`letters/${letter.bucket}/${letter.key}`)).map(recordOf));
  }));
  return make("li", {}, details);
}

const refresh = attempt(async () => {
  asked = Date.now();
  await Promise.all([showTables(), showLetters()]);
});

at("table").addEventListener("change", attempt(() => showItems()));
at("refresh").addEventListener("click", refresh);
at("more").addEventListener("click", attempt(() => showItems(start)));

// ------------------------------------------------------------------ forms of the application

function formOf(form) {
  const made = make("form", {}, make("h3", { textContent: form.title }));
  for (const field of form.fields) made.append(fieldOf(field));
  made.append(make("button", { type: "submit", textContent: form.button, disabled: !token }));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = form.fields.map((field) => [field.name, valueOf(field, made.elements.namedItem(field.name))]);
    command(form.name, Object.fromEntries(given));
  });
  return made;
}

function fieldOf(field) {
  const control = controlOf(field);
  control.name = field.name;
  if (field.kind === "tick") control.checked = field.value;
  else control.value = field.value;
  return make("label", {}, `${field.label} `, control);
}

function controlOf(field) {
  if (field.kind === "choice") return make("select", {}, ...field.choices.map((one) => make("option", { textContent: one })));
  if (field.kind === "long") return make("textarea", { rows: 3, spellcheck: false });
  return make("input", { type: { number: "number", tick: "checkbox" }[field.kind] ?? "text" });
}

function valueOf(field, control) {
  if (field.kind === "tick") return control.checked;
  return field.kind === "number" ? Number(control.value) : control.value;
}

// ------------------------------------------------------------------ the stack

const begin = attempt(async () => {
  const about = await get("about");
  at("stack").textContent = `${about.stack}, an embedded AWS at ${about.endpoint}`;
  document.title = `${about.stack} - tablestream`;
  at("owner").textContent = token ? "" : "Read only: to change something, open the address that was printed at the start.";
  for (const one of document.querySelectorAll("#fault button")) one.disabled = !token;
  fill(at("fault").elements.function, ...about.functions.map((name) => make("option", { textContent: name })));
  at("forms").hidden = about.forms.length === 0;
  fill(at("form-list"), ...about.forms.map(formOf));
  showFieldsOfFault();
  refresh();
});

function listen() {
  const source = new EventSource("events");
  source.addEventListener("message", (message) => {
    const news = JSON.parse(message.data);
    if (run !== news.run) {
      [run, last, waiting] = [news.run, 0, []];
      fill(list);
      told("");
      release();
      begin();
    }
    at("connection").textContent = "connected";
    at("connection").className = "ok";
    show(news.state);
    const fresh = news.lines.filter((line) => line.number > last);
    if (!fresh.length) return;
    last = fresh.at(-1).number;
    take(fresh);
    if (fresh.length < BUSY_LINES) refreshSoon();
  });
  source.addEventListener("error", () => {
    at("connection").textContent = "not connected: has the stack ended?";
    at("connection").className = "warning";
  });
}

let soon = 0;
function refreshSoon() {
  // At once if that was not just done, and once more when the last of a series of lines has come.
  clearTimeout(soon);
  soon = setTimeout(refresh, Math.max(300, asked + REFRESH_MS - Date.now()));
}

// The address of another start of the stack, opened in this tab.
addEventListener("hashchange", () => {
  token = takeToken();
  told("");
  at("mappings").dataset.shown = "";
  begin();
});

listen();
