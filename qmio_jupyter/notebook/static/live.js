/**
 * The live view of a task: state, place in the queue, estimate, progress, and the pictures that Python drew.
 *
 * One plain ES module without imports. Its default export is an anywidget; `createView` is the same for any page. What
 * it is given are finished words and finished SVG; it puts them in their places and thinks of nothing but what a page
 * alone can know: the pointer, the keyboard, the order of the bars, and the server it came from.
 *
 * The page is patched, never rebuilt: what is hovered or has the focus stays what it is.
 */

/** What the view calls each order of the bars. */
const ORDERS = { bits: "by outcome", value: "by count" };
/** Changes of the state are read out at most this often, ms. */
const SPOKEN_EVERY = 2000;

// ---------------------------------------------------------------- the document

/** Return a new element with these attributes and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set an element's text, if it is another one. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Return the element that `markup`, an SVG, stands for. Scripts in it would not run, and there are none. */
function parse(markup) {
  const found = new DOMParser().parseFromString(markup, "image/svg+xml").documentElement;
  return document.importNode(found, true);
}

/** Make `old` what `fresh`, of the same kind, is; nodes are kept: those with a data-key by it, others by kind in order. */
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  // The style of what has a key is its place, and that is ours: see `arrange`.
  const mine = old.dataset && old.dataset.key !== undefined ? "style" : "";
  for (const { name } of [...old.attributes]) {
    if (name !== mine && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (name !== mine) setAttribute(old, name, value);
  const keyed = new Map();
  const others = [];
  for (const child of old.childNodes) {
    const key = child.dataset && child.dataset.key;
    if (key === undefined) others.push(child);
    else keyed.set(key, child);
  }
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.dataset && child.dataset.key;
    const next = others.findIndex((one) => one.nodeName === child.nodeName);
    const match = key === undefined ? others.splice(next, next < 0 ? 0 : 1)[0] : keyed.get(key);
    keyed.delete(key);
    if (match === undefined) {
      old.insertBefore(child, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    morph(match, child);
  }
  for (const child of [...others, ...keyed.values()]) child.remove();
}

// ---------------------------------------------------------------- pictures

/** One picture: its SVG, and what lies over it to be hovered and focused. */
class Picture {
  constructor(onPoint) {
    this.onPoint = onPoint;
    this.svg = null;
    this.spots = make("div", { class: "qmio-spots", role: "group" });
    this.element = make("div", { class: "qmio-picture" }, this.spots);
    this.byKey = new Map();
    this.spots.addEventListener("pointerover", (event) => this.point(event.target));
    this.spots.addEventListener("pointerleave", () => this.point(null));
    // Notebooks have shortcuts for the same keys, and listen at the document before anything in it is asked.
    const keys = (event) => this.move(event);
    this.spots.addEventListener("focusin", (event) => {
      window.addEventListener("keydown", keys, true);
      this.point(event.target);
    });
    this.spots.addEventListener("focusout", () => {
      window.removeEventListener("keydown", keys, true);
      this.point(null);
    });
  }

  /** Whether its bars can be put in another order. */
  get isSortable() {
    return this.svg !== null && this.svg.classList.contains("qmio-histogram") && this.byKey.size > 1;
  }

  show(drawing, order) {
    this.drawing = drawing;
    this.element.style.aspectRatio = `${drawing.width} / ${drawing.height}`;
    this.element.style.width = `${drawing.width}px`;
    const fresh = parse(drawing.svg);
    if (this.svg === null) this.element.prepend(fresh);
    else morph(this.svg, fresh);
    this.svg = this.element.firstElementChild;
    setAttribute(this.spots, "aria-label", drawing.alt);
    this.setSpots(drawing.spots);
    this.arrange(order);
  }

  setSpots(spots) {
    const gone = new Map(this.byKey);
    spots.forEach((spot, index) => {
      const key = spot.key || String(index);
      let element = this.byKey.get(key);
      if (element === undefined) {
        element = make("div", { class: "qmio-spot", role: "img", tabindex: "-1", "data-key": key });
        this.byKey.set(key, element);
      }
      gone.delete(key);
      setAttribute(element, "aria-label", spot.text);
      element.spot = spot;
    });
    for (const [key, element] of gone) {
      element.remove();
      this.byKey.delete(key);
    }
  }

  /** Put bars, and what lies over them, in this order. */
  arrange(order) {
    const bars = new Map();
    if (this.svg.classList.contains("qmio-histogram")) {
      for (const bar of this.svg.querySelectorAll(".qmio-bar")) bars.set(bar.dataset.key, bar);
    }
    const places = [...this.byKey.values()].map(({ spot }) => spot.x).sort((a, b) => a - b);
    const placed = [...this.byKey].map(([key, element]) => {
      const bar = bars.get(key);
      let x = element.spot.x;
      if (bar !== undefined) {
        const place = bar.dataset[order];
        if (bar.style.getPropertyValue("--qmio-i") !== place) bar.style.setProperty("--qmio-i", place);
        x = places[Number(place)] ?? x;
      }
      return { element, x };
    });
    placed.sort((a, b) => a.x - b.x || a.element.spot.y - b.element.spot.y);
    const { width, height } = this.drawing;
    let before = null;
    for (const { element, x } of placed) {
      const { spot } = element;
      element.style.left = `${(100 * x) / width}%`;
      element.style.top = `${(100 * spot.y) / height}%`;
      element.style.width = `${(100 * spot.width) / width}%`;
      element.style.height = `${(100 * spot.height) / height}%`;
      // In the order in which they are seen; what has the focus is never moved, for it would lose it.
      const isThere = element.parentNode === this.spots && element.previousSibling === before;
      if (element !== document.activeElement && !isThere) {
        this.spots.insertBefore(element, before === null ? this.spots.firstChild : before.nextSibling);
      }
      before = element;
    }
    if (!this.spots.querySelector('[tabindex="0"]') && placed.length) placed[0].element.tabIndex = 0;
  }

  point(target) {
    const element = target && target.closest ? target.closest(".qmio-spot") : null;
    this.onPoint(element === null ? null : { picture: this, element });
  }

  /** Arrow keys go from one to the next; only one of them is a stop of the Tab key. */
  move(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const all = [...this.spots.children];
    const here = all.indexOf(event.target);
    if (here < 0) return undefined;
    if (event.key === "Escape") return this.point(null);
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return undefined;
    event.preventDefault();
    event.stopPropagation();
    const there = all[Math.max(0, Math.min(all.length - 1, here + steps[event.key]))];
    event.target.tabIndex = -1;
    there.tabIndex = 0;
    there.focus();
    return undefined;
  }
}

// ---------------------------------------------------------------- the server

/** Return what the page's Jupyter server says of itself; null on a page of something else. */
function jupyterServer() {
  try {
    const { baseUrl, token } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    return baseUrl ? { base: new URL(baseUrl, location.href).href, token } : null;
  } catch {
    return null;
  }
}

function ask(server, path, method) {
  const cookie = /(?:^|;\s*)_xsrf=([^;]*)/.exec(document.cookie);
  const headers = {};
  if (cookie) headers["X-XSRFToken"] = decodeURIComponent(cookie[1]);
  if (server.token) headers.Authorization = `token ${server.token}`;
  return fetch(`${server.base}qmio_jupyter/api/${path}`, { method, headers, credentials: "same-origin" });
}

let known = null;

/** Return whether this page's server can cancel tasks; it is asked once per page, until it says yes. */
async function canCancel() {
  const server = jupyterServer();
  if (server === null) return false;
  known ??= ask(server, "health", "GET").then((answer) => answer.ok, () => false);
  const found = await known;
  if (!found) known = null;
  return found;
}

/** Cancel a task; return why it was not, empty if it was. */
async function cancelTask(taskId) {
  try {
    const answer = await ask(jupyterServer(), `tasks/${encodeURIComponent(taskId)}/cancel`, "POST");
    if (answer.ok) return "";
    const { message, hint } = await answer.json();
    const what = message && hint && !/[.!?]$/.test(message) ? `${message}.` : message;
    return [what, hint].filter(Boolean).join(" ") || `Not cancelled: the server answers ${answer.status}.`;
  } catch {
    return `Not cancelled: the Jupyter server does not answer. Interrupt the kernel, or run %qpu cancel ${taskId}.`;
  }
}

// ---------------------------------------------------------------- the view

/** Return a row of spans with a middle dot between those that say something. */
function row(kind, names) {
  const spans = Object.fromEntries(names.map((name) => [name, make("span", { class: `qmio-${name}` })]));
  return { element: make("div", { class: `qmio-row ${kind}` }, ...Object.values(spans)), ...spans };
}

/**
 * Show a task in `el`.
 *
 * Returns `update(moment, drawings)`, to be called as often as one likes (the page is touched once per frame), and
 * `destroy()`.
 */
export function createView(el, { cancel = cancelTask, isCancellable = canCancel } = {}) {
  const head = row("qmio-head", ["state", "label", "place", "eta"]);
  const mark = make("span", { class: "qmio-mark", "aria-hidden": "true" });
  const word = make("span");
  head.state.append(mark, word);
  const where = row("qmio-soft", ["device", "snapshot", "calibrated"]);
  const pictures = make("div", { class: "qmio-pictures" });
  const fill = make("div", { class: "qmio-fill-done" });
  const bar = make("div", { class: "qmio-bar-asked", role: "progressbar", "aria-label": "shots done" }, fill);
  const progress = row("", ["progress", "percent"]);
  const sort = make("button", { type: "button", class: "qmio-button qmio-away" });
  const stop = make("button", { type: "button", class: "qmio-button qmio-away" }, "Cancel task");
  progress.element.prepend(bar);
  progress.element.append(make("span", { class: "qmio-spring" }), sort, stop);
  const note = make("div", { class: "qmio-row qmio-note" });
  const identity = make("code", { class: "qmio-id" });
  const task = make("div", { class: "qmio-row qmio-soft" }, make("span", {}, "task ", identity));
  const tip = make("div", { class: "qmio-tip", "aria-hidden": "true", hidden: "" });
  const spoken = make("div", { class: "qmio-spoken", role: "status" });
  const root = make(
    "div",
    { class: "qmio-live", role: "group" },
    head.element, where.element, pictures, progress.element, note, task, tip, spoken,
  );
  el.append(root);

  const shown = [];
  let newest = null;
  let frame = 0;
  let order = "bits";
  let pointed = null;
  let refusal = "";
  let isAsked = false;
  let serves = false;
  let speech = 0;
  let saidAt = -SPOKEN_EVERY;

  const point = (next) => {
    pointed = next;
    if (next === null) {
      tip.hidden = true;
      return;
    }
    say(tip, next.element.spot.text);
    tip.hidden = false;
    const spot = next.element.getBoundingClientRect();
    const place = root.getBoundingClientRect();
    const room = place.width - tip.offsetWidth;
    const middle = spot.left + spot.width / 2 - place.left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(room, middle)) + root.scrollLeft}px`;
    tip.style.top = `${spot.top - place.top - tip.offsetHeight - 2}px`;
  };

  const speak = (text) => {
    clearTimeout(speech);
    if (spoken.textContent === text) return;
    const wait = Math.max(0, saidAt + SPOKEN_EVERY - performance.now());
    speech = setTimeout(() => {
      saidAt = performance.now();
      say(spoken, text);
    }, wait);
  };

  const draw = () => {
    frame = 0;
    const { moment, drawings } = newest;
    setAttribute(root, "aria-label", `Task ${moment.task_id}`);
    root.dataset.state = moment.state;
    say(mark, moment.mark);
    say(word, moment.word);
    say(head.label, moment.label);
    say(head.place, moment.place);
    say(head.eta, moment.eta);
    setAttribute(head.eta, "title", moment.eta_hint);
    say(where.device, moment.device);
    say(where.snapshot, moment.snapshot);
    say(where.calibrated, moment.calibrated);
    say(progress.progress, moment.progress);
    say(progress.percent, `${moment.percent} %`);
    setAttribute(bar, "aria-valuemin", "0");
    setAttribute(bar, "aria-valuemax", String(Math.max(1, moment.asked)));
    setAttribute(bar, "aria-valuenow", String(moment.done));
    setAttribute(bar, "aria-valuetext", moment.progress);
    fill.style.transform = `scaleX(${moment.asked ? Math.min(1, moment.done / moment.asked) : 0})`;
    // What the server refuses is told whole, and aloud: the user has just asked for it.
    note.classList.toggle("qmio-whole", refusal !== "");
    setAttribute(note, "role", refusal ? "alert" : "note");
    setAttribute(note, "title", refusal || moment.note);
    say(note, refusal || moment.note);
    say(identity, moment.task_id);
    drawings.forEach((drawing, index) => {
      if (shown[index] === undefined) {
        shown[index] = new Picture(point);
        pictures.append(shown[index].element);
      }
      if (shown[index].drawing !== drawing) shown[index].show(drawing, order);
    });
    for (const extra of shown.splice(drawings.length)) extra.element.remove();
    const isSortable = shown.some((picture) => picture.isSortable);
    sort.classList.toggle("qmio-away", !isSortable);
    say(sort, `Sort ${ORDERS[order === "bits" ? "value" : "bits"]}`);
    stop.classList.toggle("qmio-away", !(serves && moment.can_cancel));
    stop.disabled = isAsked;
    if (pointed !== null) point(pointed.element.isConnected ? pointed : null);
    speak([moment.word, moment.place].filter(Boolean).join(", "));
  };

  const later = () => {
    if (newest !== null && frame === 0) frame = requestAnimationFrame(draw);
  };

  sort.addEventListener("click", () => {
    order = order === "bits" ? "value" : "bits";
    for (const picture of shown) picture.arrange(order);
    later();
  });
  stop.addEventListener("click", async () => {
    isAsked = true;
    refusal = "";
    later();
    refusal = await cancel(newest.moment.task_id);
    isAsked = refusal === "";
    later();
  });
  Promise.resolve(isCancellable()).then((answer) => {
    serves = answer;
    later();
  });

  return {
    update(moment, drawings) {
      newest = { moment, drawings };
      later();
    },
    destroy() {
      cancelAnimationFrame(frame);
      clearTimeout(speech);
      newest = null;
      root.remove();
    },
  };
}

export default {
  render({ model, el }) {
    const view = createView(el);
    const update = () => view.update(model.get("moment"), model.get("drawings"));
    model.on("change:moment", update);
    model.on("change:drawings", update);
    update();
    return () => {
      model.off("change:moment", update);
      model.off("change:drawings", update);
      view.destroy();
    };
  },
};
