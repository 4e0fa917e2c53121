// Shows a sequence of frames: plays, steps and scrubs them, and sends choices back to Python where there is one.
//
// What may live here: the browser's half of `player.py`. It knows nothing of what is drawn. A frame is a picture
// (SVG, a shape a line), its words, and what can be chosen there; `frames.py` describes the form. A saved page calls
// `mount` itself; in a notebook, where `widget.js` stands below this text in one module, that does.

const SPEEDS = [0.5, 1, 2, 5, 10, 30];
const MOVE_MS = 300;
const PATIENCE_MS = 3000;
const SILENT = "No answer from Python yet. It is busy, or it was restarted: then run the cell again. " +
  "What you see may be out of date.";

const KEYS = [
  ["→  ←", "one step on, one step back"],
  ["space", "play, or stand still (in the demonstration: one step on)"],
  ["home  end", "to the first frame, to the last"],
  ["page up, page down", "ten steps back, ten on (in the demonstration: one)"],
  ["+  -", "faster, slower"],
  ["w", "show the picture in words"],
  ["d", "demonstration: large, without controls (escape leaves it)"],
  ["?", "show or hide this list"],
];

// -- frames ------------------------------------------------------------------------------------------------

export class Store {
  // What came from Python: every different line once, and frames as numbers of lines.
  constructor(packed) {
    this.replace(packed);
  }
  replace({ lines, frames }) {  // they grow in place, so that what a notebook saves has all of them
    this.lines = lines;
    this.frames = frames;
  }
  add({ lines, frames }, from) {
    this.lines.push(...lines);
    this.frames.length = from;
    this.frames.push(...frames);
  }
  get(number) {
    const text = (numbers) => numbers.map((line) => this.lines[line]);
    const [svg, words, choices] = this.frames[number];
    return { svg: text(svg).join("\n"), words: text(words), choices: text(choices).map((line) => JSON.parse(line)) };
  }
}

// -- the picture in place ------------------------------------------------------------------------------------

const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

function patch(old, now, smooth) {
  // Makes `old` the same as `now`. What has a data-key stays the same element, so it can move and keep the focus.
  const kept = new Map([...old.children].filter((part) => part.dataset.key).map((part) => [part.dataset.key, part]));
  const wanted = [...now.children].map((part) => {
    const same = kept.get(part.dataset.key);
    if (!same) {
      if (smooth && part.dataset.key) part.animate([{ opacity: 0 }, { opacity: 1 }], MOVE_MS);
      return part;
    }
    const from = same.getAttribute("transform"), to = part.getAttribute("transform");
    for (const name of same.getAttributeNames()) if (!part.hasAttribute(name)) same.removeAttribute(name);
    for (const { name, value } of part.attributes) same.setAttribute(name, value);
    if (same.innerHTML !== part.innerHTML) same.replaceChildren(...part.childNodes);
    if (smooth && from && to && from !== to) same.animate([{ transform: css(from) }, { transform: css(to) }], MOVE_MS);
    return same;
  });
  for (const { name, value } of now.attributes) old.setAttribute(name, value);
  const stay = new Set(wanted);
  for (const part of [...old.children]) if (!stay.has(part)) part.remove();
  wanted.forEach((part, place) => {
    if (old.children[place] !== part) old.insertBefore(part, old.children[place] ?? null);
  });
}
const css = (transform) => `translate(${transform.match(/-?[\d.]+(e-?\d+)?/g).slice(0, 2).join("px, ")}px)`;

function parsed(svg) {
  return document.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);
}

// -- small parts ---------------------------------------------------------------------------------------------

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const button = (id, label, title, onclick) => element("button", { type: "button", "data-testid": id, title,
  "aria-label": title, onclick }, label);

// -- the player ----------------------------------------------------------------------------------------------

class Player {
  constructor(root, store, { title, at = 0, demo = false, speed = 2, onAt, onSpeed, send }) {
    Object.assign(this, { root, store, speed, onAt, onSpeed, send, at, playing: null, shown: 0 });
    Object.assign(this, { waiting: new Map(), asked: 0, busy: null, next: [] });
    root.classList.add("gryadka-player");
    // JupyterLab's own shortcuts would take the keys.
    const marks = { tabindex: 0, role: "group", "aria-label": title, "data-testid": "player",
      "data-lm-suppress-shortcuts": "true", "data-demo": demo };
    for (const [name, value] of Object.entries(marks)) root.setAttribute(name, value);
    root.replaceChildren(...this.parts());
    root.addEventListener("keydown", (event) => this.key(event));
    this.picture.addEventListener("click", (event) => this.clicked(event));
    this.leaving = () => { if (!document.fullscreenElement) this.demonstrate(false); };
    document.addEventListener("fullscreenchange", this.leaving);
    this.show(this.at, false);
  }

  parts() {
    const bar = [
      button("first", "|◀", "To the first frame", () => this.go(0)),
      button("back", "◀", "One step back", () => this.go(this.at - 1)),
      this.playButton = button("play", "Play", "Play, or stand still", () => this.play(!this.playing)),
      button("on", "▶", "One step on", () => this.go(this.at + 1)),
      button("last", "▶|", "To the last frame", () => this.go(this.last)),
      this.slider = element("input", { type: "range", min: 0, "aria-label": "Frame", "data-testid": "slider",
        oninput: (event) => this.go(Number(event.target.value), false) }),
      this.place = element("span", { "data-testid": "place" }),
      this.pace = element("select", { "aria-label": "Frames per second", "data-testid": "speed",
        onchange: (event) => this.setSpeed(Number(event.target.value)) },
        ...SPEEDS.map((speed) => element("option", { value: speed }, `${speed} a second`))),
      button("demo", "Large", "Demonstration: large, without controls", () => this.demonstrate(true)),
      button("help", "?", "Keys", () => this.toggle(this.help)),
    ];
    this.picture = element("div", { class: "picture" });
    this.said = element("p", { class: "said", "aria-live": "polite", "data-testid": "said" });
    this.trouble = element("p", { class: "trouble", role: "alert", "data-testid": "trouble", hidden: "" });
    this.fate = element("p", { class: "trouble", role: "alert", "data-testid": "fate", hidden: "" });
    this.choices = element("div", { class: "choices", "data-testid": "choices" });
    this.words = element("pre", { "data-testid": "words" });
    this.more = element("details", { class: "more" }, element("summary", {}, "The picture in words"), this.words);
    this.help = element("div", { class: "help", "data-testid": "keys", hidden: "" });
    this.pace.value = this.speed;
    return [this.fate, this.picture, this.said, this.trouble, element("div", { class: "bar" }, ...bar), this.choices,
      this.help, this.more];
  }

  get last() { return this.store.frames.length - 1; }

  // -- frames

  go(number, smooth = true) {
    number = Math.max(0, Math.min(number, this.last));
    if (number === this.at) return;
    this.show(number, smooth && Math.abs(number - this.at) === 1);
    this.onAt?.(number);
  }

  show(number, smooth) {
    this.at = number = Math.max(0, Math.min(number, this.last));
    const frame = this.store.get(number), now = parsed(frame.svg), old = this.picture.firstElementChild;
    const quick = performance.now() - this.shown < MOVE_MS;  // nobody can follow: neither movements nor sentences
    const focused = this.root.contains(document.activeElement) && document.activeElement;
    this.shown = performance.now();
    this.offer(now, frame.choices);
    if (old) patch(old, now, smooth && !quick && !calm());
    else this.picture.append(now);
    this.follow();
    if (focused && !(this.picture.contains(focused) ? focused.hasAttribute("tabindex") : this.root.contains(focused)))
      this.root.focus({ preventScroll: true });  // what had the focus has gone: the keys must not go to nobody
    else if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });  // it has moved
    this.announce(frame.words[0], quick);
    this.words.textContent = frame.words.join("\n");
    this.slider.max = this.last;
    this.slider.value = number;
    this.slider.setAttribute("aria-valuetext", `${number} of ${this.last}: ${frame.words[0]}`);
    this.place.textContent = `${number} / ${this.last}`;
    this.root.dataset.at = number;
    this.root.dataset.still = this.last === 0 && !this.now.length;  // one picture, and nothing to be done: no controls
  }

  follow() {  // a picture that is longer than the window scrolls to what it is about
    const mark = this.picture.querySelector("[data-key=now]"), top = (part) => part.getBoundingClientRect().top;
    this.picture.classList.toggle("long", !!mark || this.picture.classList.contains("long"));
    if (mark) this.picture.scrollTop += top(mark) - top(this.picture) - 0.7 * this.picture.clientHeight;
  }

  announce(text, quick) {
    clearTimeout(this.quiet);
    this.said.setAttribute("aria-live", quick ? "off" : "polite");
    this.said.textContent = text;
    if (quick) this.quiet = setTimeout(() => { this.announce("", false); this.announce(text, false); }, 2 * MOVE_MS);
  }

  play(on) {
    cancelAnimationFrame(this.playing);
    this.playing = null;
    if (on && this.last > 0) {
      if (this.at === this.last) this.go(0, false);
      let before = performance.now();
      const tick = (time) => {
        const steps = Math.floor(((time - before) * this.speed) / 1000);
        if (steps > 0) {
          before += (steps * 1000) / this.speed;
          this.go(this.at + steps);
        }
        if (this.at < this.last) this.playing = requestAnimationFrame(tick);
        else this.play(false);
      };
      this.playing = requestAnimationFrame(tick);
    }
    this.playButton.textContent = this.playing ? "Pause" : "Play";
  }

  setSpeed(speed) {
    this.pace.value = this.speed = speed;
    this.onSpeed?.(speed);
  }

  // -- choices: what Python can be asked to do at this frame

  offer(svg, choices) {
    this.now = choices = this.send ? choices : [];
    for (const choice of [...choices].reverse()) {  // the first choice of a thing is what a click does
      const thing = choice.on && svg.querySelector(`[data-key="${CSS_escape(choice.on)}"]`);
      if (!thing) continue;
      const label = `${choice.thing}: ${choice.label}`;
      for (const [name, value] of Object.entries({ "data-act": choice.act, "data-testid": choice.on, role: "button",
        tabindex: 0, "aria-label": label })) thing.setAttribute(name, value);
    }
    if (choices.length) svg.setAttribute("role", "group");
    this.list(choices);
  }

  list(choices) {
    const told = JSON.stringify(choices);
    if (told === this.listed) return;  // a button that is pressed twice must still be there
    this.listed = told;
    const focused = document.activeElement, focus = this.choices.contains(focused) && focused.dataset.testid;
    const open = new Map([...this.choices.children].map((part) => [part.dataset.section, part.open]));
    const sections = new Map();
    for (const choice of choices) {
      const rows = sections.get(choice.section) ?? sections.set(choice.section, new Map()).get(choice.section);
      rows.set(choice.on + choice.thing, [...(rows.get(choice.on + choice.thing) ?? []), choice]);
    }
    this.rows = [...(sections.values().next().value?.values() ?? [])];
    this.choices.replaceChildren(...[...sections].map(([name, rows], place) => {
      const part = element("details", { "data-section": name }, element("summary", {}, name),
        ...[...rows.values()].map((several) => this.row(several)));
      part.open = open.get(name) ?? place < 2;
      return part;
    }));
    if (focus) (this.choices.querySelector(`[data-testid="${CSS_escape(focus)}"]`) ?? this.root).focus();
  }

  row(several) {
    const number = this.rows.indexOf(several) + 1, { thing } = several[0];
    const name = number ? `${number}. ${thing}` : thing;
    return element("div", { class: "row" }, element("span", { class: "thing" }, name), ...several.map((choice) =>
      button(choice.act, choice.label, `${thing}: ${choice.label}${choice.key ? ` (key ${choice.key})` : ""}`,
        () => this.act(choice.act))));
  }

  clicked(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act) this.act(act);
  }

  act(act) {
    // One after the other: what is chosen before an answer has come follows from it, and is no other way on from here.
    if (!this.send) return;
    if (this.busy) {
      if (this.busy.act !== act && !this.next.includes(act)) this.next.push(act);  // twice is a double click
      return;
    }
    const id = ++this.asked;
    this.busy = { id, act };
    this.waiting.set(id, setTimeout(() => { this.free(id, false); this.complain(SILENT); }, PATIENCE_MS));
    this.send({ act, at: this.at, id });
  }

  answered({ done, trouble }) {
    clearTimeout(this.waiting.get(done));
    if (!this.waiting.delete(done)) return;
    this.complain(trouble ?? "");
    this.free(done, !trouble);
  }

  free(id, go_on) {
    if (this.busy?.id !== id) return;
    this.busy = null;
    const [act, ...rest] = go_on ? this.next : [];
    this.next = rest;
    if (act) this.act(act);
  }

  complain(text) { this.trouble.hidden = !(this.trouble.textContent = text); }

  behind({ text, ended }) {
    // What has become of Python. Without it nothing can be chosen; the frames that exist play on.
    this.fate.hidden = !(this.fate.textContent = text);
    if (!ended || !this.send) return;
    this.root.dataset.ended = true;
    this.send = null;
    this.forget();
    this.complain("");
    if (this.root.contains(document.activeElement)) this.root.focus({ preventScroll: true });
    this.show(this.at, false);
  }

  forget() {
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.next = [];
  }

  // -- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const pressing = event.target.closest("button, summary") && [" ", "Enter"].includes(event.key);
    const action = pressing ? null : this.chosenBy(event) || this.actions()[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  chosenBy({ key, target }) {
    // A thing in the picture answers to enter and to the keys of its choices. A key that is one choice's alone
    // holds everywhere, and digits stand for the rows of the first section.
    const on = target.closest("[data-act]")?.dataset.key;
    const mine = this.now.filter((choice) => on && choice.on === on);
    const same = this.now.filter((choice) => choice.key === key);
    const chosen = (mine.length && [" ", "Enter"].includes(key) && mine[0])
      || mine.find((choice) => choice.key === key) || (same.length === 1 && same[0])
      || (/^[1-9]$/.test(key) && this.rows[Number(key) - 1]?.[0]);
    return chosen ? () => this.act(chosen.act) : null;
  }

  actions() {
    const demo = this.root.dataset.demo === "true", page = demo ? 1 : 10;  // what a pointer for slides sends
    const faster = (by) => () => this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.indexOf(this.speed) + by,
      SPEEDS.length - 1))]);
    return {
      ArrowRight: () => this.go(this.at + 1), ArrowLeft: () => this.go(this.at - 1),
      " ": () => (demo ? this.go(this.at + 1) : this.play(!this.playing)),
      Home: () => this.go(0), End: () => this.go(this.last),
      PageDown: () => this.go(this.at + page), PageUp: () => this.go(this.at - page),
      "+": faster(1), "-": faster(-1),
      w: () => { this.more.open = !this.more.open; },
      d: () => this.demonstrate(!demo),
      "?": () => this.toggle(this.help),
      Escape: () => { this.help.hidden = true; this.demonstrate(false); },
    };
  }

  toggle(part) {
    part.hidden = !part.hidden;
    // Each key once, with all that it does; and whose it is, or that its thing has to have the focus first.
    const own = new Map(), keys = new Set(this.now.map((choice) => choice.key).filter(Boolean));
    for (const key of keys) {
      const same = this.now.filter((choice) => choice.key === key), one = same.length === 1;
      const labels = [...new Set(same.map((choice) => choice.label))].join(", or ");
      const sections = [...new Set(same.map((choice) => choice.section.toLowerCase()))].join(" and ");
      own.set(key, [key, `${labels} (${one ? same[0].thing : `${sections}: tab to one in the picture first`})`]);
    }
    if (this.now.length) own.set("digits", ["1 … 9", "the first choice of that line of the list below the picture"]);
    this.help.replaceChildren(element("dl", {}, ...[...KEYS, ...own.values()].flatMap(([keys, what]) => [
      element("dt", {}, keys), element("dd", {}, what)])));
  }

  demonstrate(on) {
    if (on === (this.root.dataset.demo === "true")) return;
    this.root.dataset.demo = on;
    if (on) this.root.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement === this.root) document.exitFullscreen();
    this.root.focus();
  }

  close() {
    this.play(false);
    clearTimeout(this.quiet);
    document.removeEventListener("fullscreenchange", this.leaving);
    this.forget();
  }
}

const CSS_escape = (text) => window.CSS.escape(text);

export function mount(root, options) {
  return new Player(root, options.store ?? new Store(options.packed), options);
}
