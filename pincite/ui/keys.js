// What built-in widgets cannot do: focus, single keys, the clipboard, and what this browser remembers.
// Words of documents and questions come here as data and go into the page as text, never as markup.

const RECENT = "pincite.recent";
const MOST = 8;

/** What the page asks for now; each run of its script brings it anew. */
let page = {};
/** Number of the hit that the keys stand on, from 0; -1 before the first. */
let current = -1;
let shown = null;

const typing = () => {
  const at = document.activeElement;
  return at?.matches("input:not([type=radio]):not([type=checkbox]):not([type=button]), textarea, select, [contenteditable=true]");
};
const busy = () => document.querySelector("[role=dialog], [role=listbox], [role=menu]") !== null;
/** Widgets that have a use of their own for a key. */
const own = (key) => {
  const at = document.activeElement;
  if (key === "Enter") return at?.matches("a, button, summary, [role=button], [role=tab], [role=option]");
  if (key.startsWith("Arrow")) return at?.closest("[role=radiogroup], [role=tablist], [role=slider], [role=grid], canvas, .stDataFrame");
  return false;
};
/** Nothing is in use that the focus should be left to: the page was just opened, or reached through the menu. */
const idle = () => document.activeElement === document.body || document.activeElement?.matches("[data-testid*=Nav]");
const hits = () => [...document.querySelectorAll(".pincite-hit")];
const around = (hit) => hit?.closest("[class*='st-key-hit-']");

function stand(number) {
  const all = hits();
  if (!all.length) return;
  const next = Math.min(Math.max(number, 0), all.length - 1);
  const fold = all[next].closest("details:not([open])");
  if (fold) {
    fold.querySelector("summary").click();
    return soon(() => fold.open, () => stand(next), 20);
  }
  current = next;
  all.forEach((hit, at) => hit.classList.toggle("pincite-current", at === current));
  all[current].focus({ preventScroll: true });
  all[current].scrollIntoView({ block: "nearest" });
}

async function copy(text, say) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over a network without TLS there is no clipboard to ask for: the old way still works.
    const field = Object.assign(document.createElement("textarea"), { value: text });
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus();
    if (!done) return say("Your browser does not let the page copy.");
  }
  say("Copied: " + (text.length > 60 ? text.slice(0, 59) + "…" : text));
}

function remember(question) {
  let known = [];
  try {
    known = JSON.parse(localStorage.getItem(RECENT) ?? "[]").filter((one) => typeof one === "string");
    if (question) {
      known = [question, ...known.filter((one) => one !== question)].slice(0, MOST);
      localStorage.setItem(RECENT, JSON.stringify(known));
    }
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
  return known;
}

function forget() {
  try {
    localStorage.removeItem(RECENT);
  } catch {
    // It has kept nothing.
  }
}

function help(root) {
  const dialog = root.querySelector("dialog");
  if (dialog.open) return dialog.close();
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  for (const [key, what] of page.told) {
    const name = document.createElement("dt");
    name.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    list.append(name, Object.assign(document.createElement("dd"), { textContent: what }));
  }
  dialog.showModal();
}

const done = () => document.querySelector(".stApp")?.dataset.testScriptState === "notRunning";

function box() {
  return document.querySelector("input[aria-label='" + page.box + "']");
}

/** Once what is looked for is there: the page arrives piece by piece. */
function soon(find, act, tries = 60) {
  const found = find();
  if (found) act(found);
  else if (tries) setTimeout(() => soon(find, act, tries - 1), 50);
}

/** Into the middle, again while the page still grows around it, until the person moves. */
function bring(selector) {
  const moved = new AbortController();
  for (const how of ["wheel", "touchstart", "mousedown", "keydown"])
    window.addEventListener(how, () => moved.abort(), { once: true, capture: true, signal: moved.signal });
  for (const wait of [0, 200, 600, 1200])
    setTimeout(() => moved.signal.aborted || document.querySelector(selector)?.scrollIntoView({ block: "center" }), wait);
  setTimeout(() => moved.abort(), 1300);
}

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  page = data;
  const say = (text) => {
    root.querySelector("[role=status]").textContent = text;
    root.querySelector(".toast").textContent = text;
    root.querySelector(".toast").classList.add("seen");
    setTimeout(() => root.querySelector(".toast")?.classList.remove("seen"), 2500);
  };
  if (shown !== data.state) {
    shown = data.state;
    current = -1;
    if (data.focus) soon(box, (field) => idle() && field.focus());
    if (data.scroll) soon(() => document.querySelector(data.scroll), () => bring(data.scroll));
  } else if (current >= 0) {
    hits()[current]?.classList.add("pincite-current");
  }
  if (data.forget) forget();
  const recent = remember(data.asked);
  if (data.recent && JSON.stringify(recent) !== JSON.stringify(data.known)) setStateValue("recent", recent);

  const pressed = (event) => {
    const key = event.key;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing()) {
      if (key === "Escape") document.activeElement.blur();
      return;
    }
    if (key === "?") {
      event.preventDefault();
      return help(root);
    }
    if (root.querySelector("dialog").open || busy() || own(key)) return;
    if (event.repeat && page.press[key]) return; // a key that is held is pressed once
    const hit = around(hits()[current]);
    const named = page.press[key];
    let done = true;
    const button = named && document.querySelector(`.st-key-${named} :is(button, a):not(:disabled)`);
    if (button) button.click();
    else if (key === "/" && box()) box().focus(), box().select();
    else if (page.walks && (key === "j" || key === "ArrowDown")) stand(current + 1);
    else if (page.walks && (key === "k" || key === "ArrowUp")) stand(current - 1);
    else if (key === "Enter" && hit) hit.querySelector("[data-testid=stPageLink-NavLink]")?.click();
    else if (key === "y") {
      const citation = (hit ?? document).querySelector("[data-copy]");
      if (citation) copy(decodeURIComponent(citation.dataset.copy), say);
    } else done = false;
    if (done) event.preventDefault();
  };
  const clicked = (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(decodeURIComponent(button.dataset.copy), say);
  };
  // A link that is pressed out of a box: Streamlit would run the page for the box and lose the way.
  const pointed = (event) => {
    const link = event.target.closest?.("[data-testid=stPageLink-NavLink]");
    const field = document.activeElement;
    if (!link || !typing()) return;
    event.preventDefault(); // the box keeps the focus, and what stands in it is no new question
    if (!field.matches("textarea")) return;
    const hold = (click) => (click.preventDefault(), click.stopPropagation());
    link.addEventListener("click", hold, { once: true, capture: true });
    field.blur(); // a note is kept first
    setTimeout(() => soon(done, () => link.click(), 200), 300);
  };
  // The page's script runs again and again, and is told of its end only when it is taken away.
  window.pinciteKeys?.abort();
  const listening = (window.pinciteKeys = new AbortController());
  document.addEventListener("keydown", pressed, { signal: listening.signal });
  document.addEventListener("mousedown", pointed, { signal: listening.signal, capture: true });
  document.addEventListener("click", clicked, { signal: listening.signal });
  return () => listening.abort();
}
